// Gathers the kernels of one instruction set into its table.
#include "kernels/dispatch.h"

namespace audiogen::kernels::inline AUDIOGEN_ISA {

#define AUDIOGEN_DECLARE(Type, name) Type name;
AUDIOGEN_KERNELS(AUDIOGEN_DECLARE)
#undef AUDIOGEN_DECLARE

extern const KernelTable table;
const KernelTable table{AUDIOGEN_STRING(AUDIOGEN_ISA),
#define AUDIOGEN_ENTRY(Type, name) name,
                        AUDIOGEN_KERNELS(AUDIOGEN_ENTRY)
#undef AUDIOGEN_ENTRY
};

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
