-- Runs in ardour8-lua: records what is played on a track with the plug-in.
--
--   ardour8-lua ardour.lua FOLDER [PARAMETER]
--
-- makes a session in FOLDER on the JACK server. Prints "rolling" when the track records, "note
-- PITCH BEATS" for each note that it has recorded in 6 seconds, and "saved" at the end. A parameter
-- is automated: it moves up and down.
io.stdout:setvbuf("no")
local seconds = 6
local uri = "urn:audiogen:synth"
if AudioEngine:set_backend("JACK/Pipewire", "", ""):isnil() then
  error("no backend JACK/Pipewire")
end
local session = create_session(arg[1], "song", 48000)
assert(session, "no session")
local stereo = ARDOUR.ChanCount(ARDOUR.DataType("audio"), 2)
local midi = ARDOUR.ChanCount(ARDOUR.DataType("midi"), 1)
local tracks = session:new_midi_track(midi, stereo, false,
  ARDOUR.LuaAPI.new_plugin_info(uri, ARDOUR.PluginType.LV2), nil, nil, 1, "synth",
  ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
local track = tracks:front()
print("processors", track:nth_plugin(0):to_insert():plugin(0):name())
track:monitoring_control():set_value(1, PBD.GroupControlDisposition.NoGroup)
track:rec_enable_control():set_value(1, PBD.GroupControlDisposition.NoGroup)
session:maybe_enable_record(false)
session:request_roll(ARDOUR.TransportRequestSource.TRS_UI)
print("rolling")
for _ = 1, 100 * seconds do
  ARDOUR.LuaAPI.usleep(10000)
end
session:request_stop(false, false, ARDOUR.TransportRequestSource.TRS_UI)
for _ = 1, 300 do  -- the region appears when the transport has stopped
  ARDOUR.LuaAPI.usleep(10000)
  if not track:playlist():region_list():empty() then break end
end
for region in track:playlist():region_list():iter() do
  local model = region:to_midiregion():midi_source(0):model()
  for note in ARDOUR.LuaAPI.note_list(model):iter() do
    print("note", note:note(), note:length():to_ticks() / 1920)  -- ticks of a beat
  end
end
local insert = track:nth_plugin(0):to_insert()
for i = 0, insert:plugin(0):parameter_count() - 1 do
  if arg[2] and insert:plugin(0):parameter_label(i):lower() == arg[2] then
    local parameter = Evoral.Parameter(ARDOUR.AutomationType.PluginAutomation, 0, i)
    local control = insert:to_automatable():automation_control(parameter, true)
    for beat, value in pairs({[0] = 0.0, [4] = 0.0, [8] = 1.0, [11] = 0.3}) do
      control:alist():add(Temporal.timepos_t(24000 * beat), value, false, true)
    end
    control:set_automation_state(ARDOUR.AutoState.Play)
  end
end
session:save_state("")
print("saved")
