// The external `audiogen~` of Pure Data: a patch plays a preset.
#include <m_pd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "capi/audiogen.h"
#include "plugin/common/instance.h"
#include "plugin/common/own_folders.h"

namespace {

using audiogen::plugin::Instance;

t_class* synth_class = nullptr;

struct Synth {
  t_object object;
  t_float unused;  // of the left inlet without a signal
  t_outlet* messages;
  Instance* instance;
  double rate;
  int block;
  double tick;  // logical time of the last block
  bool offline;
  bool reported;
};

void report(Synth* synth) {
  const std::string message = synth->instance->status();
  if (!message.empty()) pd_error(synth, "audiogen~: %s", message.c_str());
}

// Samples since the last block, so that a message takes effect as late within the next block as it
// was sent within this one.
std::uint32_t offset_now(const Synth* synth) {
  const double samples = 1e-3 * clock_gettimesince(synth->tick) * synth->rate;
  return static_cast<std::uint32_t>(
      std::clamp(std::lround(samples), 0L, static_cast<long>(std::max(0, synth->block - 1))));
}

void activate(Synth* synth, double rate, int block) {
  if (rate == synth->rate && block == synth->block) return;
  if (synth->rate > 0.0) synth->instance->deactivate();
  synth->rate = rate;
  synth->block = block;
  synth->tick = clock_getlogicaltime();
  synth->instance->activate(static_cast<std::uint32_t>(std::lround(rate)),
                            static_cast<std::uint32_t>(std::max(1, block)));
  report(synth);
}

// [audiogen~ PRESET TIMBRE]
void* create(t_symbol*, int n, t_atom* words) {
  auto* synth = reinterpret_cast<Synth*>(pd_new(synth_class));
  synth->unused = 0.0f;
  synth->rate = 0.0;
  synth->block = 0;
  synth->tick = clock_getlogicaltime();
  synth->offline = false;
  synth->reported = false;
  // Pd's own buffer covers blocks that take long, so that each is rendered when it is asked for.
  synth->instance = new Instance(audiogen::plugin::own_folders(), false);
  if (n > 0 && words[0].a_type == A_SYMBOL) {
    if (synth->instance->open_preset(atom_getsymbol(words)->s_name) && n > 1) {
      synth->instance->choose_timbre(atom_getsymbol(words + 1)->s_name);
    }
    report(synth);
  }
  activate(synth, sys_getsr(), sys_getblksize());
  inlet_new(&synth->object, &synth->object.ob_pd, &s_signal, &s_signal);
  outlet_new(&synth->object, &s_signal);
  outlet_new(&synth->object, &s_signal);
  synth->messages = outlet_new(&synth->object, nullptr);
  return synth;
}

void destroy(Synth* synth) { delete synth->instance; }

t_int* perform(t_int* words) {
  auto* synth = reinterpret_cast<Synth*>(words[1]);
  const float* const inputs[] = {reinterpret_cast<t_sample*>(words[2]),
                                 reinterpret_cast<t_sample*>(words[3])};
  float* const outputs[] = {reinterpret_cast<t_sample*>(words[4]),
                            reinterpret_cast<t_sample*>(words[5])};
  synth->instance->process(outputs, static_cast<std::size_t>(words[6]), inputs, synth->offline);
  synth->tick = clock_getlogicaltime();
  return words + 7;
}

void dsp(Synth* synth, t_signal** signals) {
  activate(synth, signals[0]->s_sr, signals[0]->s_n);
  dsp_add(perform, 6, synth, signals[0]->s_vec, signals[1]->s_vec, signals[2]->s_vec,
          signals[3]->s_vec, static_cast<t_int>(signals[0]->s_n));
}

// A list of pitch and velocity, 0 .. 127; velocity 0 ends the note.
void note(Synth* synth, t_symbol*, int n, t_atom* words) {
  if (n < 2) return pd_error(synth, "audiogen~: a note is a pitch and a velocity from 0 to 127");
  const float pitch = atom_getfloat(words), velocity = atom_getfloat(words + 1);
  const auto key = static_cast<std::int32_t>(std::lround(100.0f * std::clamp(pitch, 0.0f, 256.0f)));
  if (velocity > 0.0f) {
    synth->instance->note_on(key, pitch, velocity / 127.0f, offset_now(synth));
  } else {
    synth->instance->note_off(key, offset_now(synth));
  }
}

// A byte of [midiin].
void midi(Synth* synth, t_float byte) {
  const auto value = static_cast<std::uint8_t>(std::clamp(byte, 0.0f, 255.0f));
  synth->instance->midi(&value, 1, offset_now(synth));
}

void preset(Synth* synth, t_symbol* name) {
  const std::vector<std::string>& names = synth->instance->presets();
  const auto found = std::find(names.begin(), names.end(), name->s_name);
  if (found == names.end() || canvas_dspstate == 0) {
    synth->instance->open_preset(name->s_name);  // while nothing plays, or for the message
    return report(synth);
  }
  synth->instance->request_preset(static_cast<int>(found - names.begin()));
}

void timbre(Synth* synth, t_symbol*, int n, t_atom* words) {
  if (n > 0 && words[0].a_type == A_FLOAT) {
    synth->instance->choose_timbre(static_cast<int>(atom_getfloat(words)));
  } else if (!synth->instance->choose_timbre(n > 0 ? atom_getsymbol(words)->s_name : "")) {
    report(synth);
  }
}

void latent(Synth* synth, t_symbol*, int n, t_atom* words) {
  std::vector<float> z;
  for (int i = 0; i < n; ++i) z.push_back(atom_getfloat(words + i));
  if (!synth->instance->set_latent(z.data(), z.size())) report(synth);
}

void seed(Synth* synth, t_float value) {
  synth->instance->set_seed(static_cast<std::uint64_t>(std::max(0.0f, value)));
}

void offline(Synth* synth, t_float on) { synth->offline = on != 0.0f; }

// Writes or reads the state as a file.
void write_file(Synth* synth, t_symbol* path) {
  std::FILE* file = std::fopen(path->s_name, "wb");
  const auto append = [](void* to, const void* bytes, std::size_t n) {
    return static_cast<std::int64_t>(std::fwrite(bytes, 1, n, static_cast<std::FILE*>(to)));
  };
  const bool fine = file && synth->instance->write_state(append, file);
  if (!file || std::fclose(file) != 0 || !fine) {
    pd_error(synth, "audiogen~: %s could not be written", path->s_name);
  }
}

void read_file(Synth* synth, t_symbol* path) {
  std::FILE* file = std::fopen(path->s_name, "rb");
  if (!file) return pd_error(synth, "audiogen~: %s could not be read", path->s_name);
  const auto take = [](void* from, void* bytes, std::size_t n) {
    return static_cast<std::int64_t>(std::fread(bytes, 1, n, static_cast<std::FILE*>(from)));
  };
  synth->instance->read_state(take, file);
  std::fclose(file);
  report(synth);
}

// Answers with the preset, the latency in samples, and the names of presets and timbres.
void info(Synth* synth) {
  t_atom atom;
  const auto send = [&](const char* selector, const std::string& text) {
    SETSYMBOL(&atom, gensym(text.c_str()));
    outlet_anything(synth->messages, gensym(selector), 1, &atom);
  };
  send("preset", synth->instance->preset_name());
  SETFLOAT(&atom, static_cast<t_float>(synth->instance->latency()));
  outlet_anything(synth->messages, gensym("latency"), 1, &atom);
  for (const std::string& name : synth->instance->timbres()) send("timbre", name);
  for (const std::string& name : synth->instance->presets()) send("found", name);
}

// A parameter of the table by its name: [morph 0.5(.
void parameter(Synth* synth, t_symbol* name, int n, t_atom* words) {
  const int index = audiogen_parameter_index(name->s_name);
  if (index < 0 || n != 1) {
    return pd_error(synth, "audiogen~: no message '%s' with %d values; see its help patch",
                    name->s_name, n);
  }
  synth->instance->set_parameter(static_cast<std::size_t>(index), atom_getfloat(words),
                                 offset_now(synth));
}

// Pd knows the types of the arguments by the constants that follow.
template <class Function>
t_method method(Function* function) {
  return reinterpret_cast<t_method>(reinterpret_cast<void*>(function));
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void audiogen_tilde_setup() {
  synth_class = class_new(gensym("audiogen~"), reinterpret_cast<t_newmethod>(method(create)),
                          method(destroy), sizeof(Synth), CLASS_DEFAULT, A_GIMME, A_NULL);
  CLASS_MAINSIGNALIN(synth_class, Synth, unused);
  class_addmethod(synth_class, method(dsp), gensym("dsp"), A_CANT, A_NULL);
  class_addlist(synth_class, method(note));
  class_addmethod(synth_class, method(midi), gensym("midi"), A_FLOAT, A_NULL);
  class_addmethod(synth_class, method(preset), gensym("preset"), A_SYMBOL, A_NULL);
  class_addmethod(synth_class, method(timbre), gensym("timbre"), A_GIMME, A_NULL);
  class_addmethod(synth_class, method(latent), gensym("latent"), A_GIMME, A_NULL);
  class_addmethod(synth_class, method(seed), gensym("seed"), A_FLOAT, A_NULL);
  class_addmethod(synth_class, method(offline), gensym("offline"), A_FLOAT, A_NULL);
  class_addmethod(synth_class, method(write_file), gensym("write"), A_SYMBOL, A_NULL);
  class_addmethod(synth_class, method(read_file), gensym("read"), A_SYMBOL, A_NULL);
  class_addmethod(synth_class, method(info), gensym("info"), A_NULL);
  class_addanything(synth_class, method(parameter));
}
