# Fails if an object of one instruction set exports code outside of that set's own namespace.
foreach(object IN LISTS OBJECTS)
  execute_process(COMMAND ${NM} -C --defined-only ${object}
    OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE ";" "," output "${output}")
  string(REGEX MATCHALL "[^\n]+" lines "${output}")
  foreach(line IN LISTS lines)
    # T, D, R: defined here for all; W, V, u: defined here too, the linker keeps any one of them.
    if(line MATCHES " [TDBRWVu] (.*)" AND NOT CMAKE_MATCH_1 MATCHES "::${ISA}::")
      message(SEND_ERROR "${object}: ${CMAKE_MATCH_1}")
    endif()
  endforeach()
endforeach()
