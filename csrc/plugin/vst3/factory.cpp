// Entry points of the VST3 plug-in.
#include <public.sdk/source/main/pluginfactory.h>

#include "plugin/vst3/controller.h"
#include "plugin/vst3/processor.h"

using audiogen::plugin::vst3::Controller;
using audiogen::plugin::vst3::kControllerId;
using audiogen::plugin::vst3::kProcessorId;
using audiogen::plugin::vst3::Processor;

// The SDK's libraries refer to these; their source file is not in Debian's package.
void* moduleHandle = nullptr;
bool InitModule();
bool DeinitModule();

extern "C" {
SMTG_EXPORT_SYMBOL bool ModuleEntry(void* handle) {
  moduleHandle = handle;
  return InitModule();
}
SMTG_EXPORT_SYMBOL bool ModuleExit() { return DeinitModule(); }
}

BEGIN_FACTORY_DEF("audiogen", "", "")
DEF_CLASS2(INLINE_UID_FROM_FUID(kProcessorId), PClassInfo::kManyInstances, kVstAudioEffectClass,
           "audiogen", Vst::kDistributable, Vst::PlugType::kInstrumentSynth, AUDIOGEN_VERSION,
           kVstVersionString, Processor::create)
DEF_CLASS2(INLINE_UID_FROM_FUID(kControllerId), PClassInfo::kManyInstances,
           kVstComponentControllerClass, "audiogen controller", 0, "", AUDIOGEN_VERSION,
           kVstVersionString, Controller::create)
END_FACTORY
