/* An LV2 host for tests: plays a script through instances of the plug-in and writes what it hears.
 *
 *   lilv_host [-r RATE] [-b BLOCK] [-n SAMPLES] [-i INSTANCES] [-l LOADS] [-t STATE] [-T STATE]
 *             [-c SAMPLES] [-p] [-q] [-x] < script > samples.f32
 *
 * -i makes several instances and writes the first; -l loads and unloads the plug-in before; -t and -T
 * restore a state from a file (or one whose name ends in the instance's number), and save it to one
 * at the end; -c feeds a ramp of this
 * length to the side chain; -p plays in real time, without freewheeling; -q renders as fast as it can
 * without saying so; -x allocates where RealtimeSanitizer must see it. A line of the script is a sample, a
 * word and its values; blocks end where ports change:
 *   0 midi 90 3c 7f
 *   4800 port morph 0.5
 *   9600 preset woodwinds
 * Standard error has the latency in samples, the CPU time of a load on average, the memory of the
 * process in kB after each load, and what the plug-in logs. Build: cc lilv_host.c $(pkg-config --cflags --libs lilv-0) -lm */
#define _GNU_SOURCE
#include <lilv/lilv.h>
#include <lv2/atom/atom.h>
#include <lv2/atom/forge.h>
#include <lv2/atom/util.h>
#include <lv2/buf-size/buf-size.h>
#include <lv2/log/log.h>
#include <lv2/midi/midi.h>
#include <lv2/options/options.h>
#include <lv2/patch/patch.h>
#include <lv2/state/state.h>
#include <lv2/urid/urid.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* RealtimeSanitizer reports what blocks within such a function. */
#if defined(__has_feature)
#if __has_feature(realtime_sanitizer)
#define REALTIME __attribute__((nonblocking))
#endif
#endif
#ifndef REALTIME
#define REALTIME
#endif

enum { MOST_URIS = 512, MOST_LINES = 4096, MOST_PORTS = 128, MOST_INSTANCES = 16, ATOM_SIZE = 16384 };

static char* uris[MOST_URIS];
static uint32_t n_uris;

static LV2_URID map_uri(LV2_URID_Map_Handle handle, const char* uri) {
  (void)handle;
  for (uint32_t i = 0; i < n_uris; ++i) {
    if (strcmp(uris[i], uri) == 0) return i + 1;
  }
  if (n_uris == MOST_URIS) abort();
  uris[n_uris] = strdup(uri);
  return ++n_uris;
}

static const char* unmap_uri(LV2_URID_Unmap_Handle handle, LV2_URID urid) {
  (void)handle;
  return urid > 0 && urid <= n_uris ? uris[urid - 1] : NULL;
}

static int log_text(LV2_Log_Handle handle, LV2_URID type, const char* format, ...) {
  (void)handle, (void)type;
  va_list values;
  va_start(values, format);
  int n = vfprintf(stderr, format, values);
  va_end(values);
  return n;
}

static int log_values(LV2_Log_Handle handle, LV2_URID type, const char* format, va_list values) {
  (void)handle, (void)type;
  return vfprintf(stderr, format, values);
}

typedef struct {
  long at;
  char word[16];
  char name[64];
  float value;
  uint8_t bytes[3];
  uint32_t n_bytes;
} Line;

typedef struct {
  LilvInstance* instance;
  float values[MOST_PORTS];
  float* audio[MOST_PORTS];
  union {
    LV2_Atom_Sequence sequence;
    uint8_t bytes[ATOM_SIZE];
  } in, out;
} Instance;

static const LilvPlugin* plugin;
static const LilvPort* ports[MOST_PORTS];
static char symbols[MOST_PORTS][64];
static uint32_t n_ports;
static Instance* instances[MOST_INSTANCES];

static uint32_t port_of(const char* symbol) {
  for (uint32_t p = 0; p < n_ports; ++p) {
    if (strcmp(symbols[p], symbol) == 0) return p;
  }
  fprintf(stderr, "host: no port %s\n", symbol);
  exit(3);
}

static void print_memory(void) {
  long size = 0, resident = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2) exit(3);
  fclose(file);
  fprintf(stderr, "rss_kb %ld\n", resident * (sysconf(_SC_PAGESIZE) / 1024));
}

static const void* get_port(const char* symbol, void* data, uint32_t* size, uint32_t* type) {
  Instance* self = data;
  *size = sizeof(float);
  *type = map_uri(NULL, LV2_ATOM__Float);
  return &self->values[port_of(symbol)];
}

static void set_port(const char* symbol, void* data, const void* value, uint32_t size,
                     uint32_t type) {
  Instance* self = data;
  if (type == map_uri(NULL, LV2_ATOM__Float) && size == sizeof(float)) {
    self->values[port_of(symbol)] = *(const float*)value;
  } else if (type == map_uri(NULL, LV2_ATOM__Int) && size == sizeof(int32_t)) {
    self->values[port_of(symbol)] = (float)*(const int32_t*)value;
  }
}

static Instance* make_instance(double rate, const LV2_Feature* const* features, long block,
                               LilvWorld* world) {
  Instance* self = calloc(1, sizeof(Instance));
  self->instance = lilv_plugin_instantiate(plugin, rate, features);
  if (!self->instance) exit(3);
  LilvNode* audio = lilv_new_uri(world, LILV_URI_AUDIO_PORT);
  LilvNode* control = lilv_new_uri(world, LILV_URI_CONTROL_PORT);
  float defaults[MOST_PORTS];
  lilv_plugin_get_port_ranges_float(plugin, NULL, NULL, defaults);
  for (uint32_t p = 0; p < n_ports; ++p) {
    if (lilv_port_is_a(plugin, ports[p], audio)) {
      self->audio[p] = calloc((size_t)block, sizeof(float));
    } else if (lilv_port_is_a(plugin, ports[p], control)) {
      self->values[p] = defaults[p] == defaults[p] ? defaults[p] : 0.0f;
      lilv_instance_connect_port(self->instance, p, &self->values[p]);
    }
  }
  lilv_instance_connect_port(self->instance, port_of("midi_in"), &self->in);
  lilv_instance_connect_port(self->instance, port_of("notify"), &self->out);
  lilv_node_free(audio);
  lilv_node_free(control);
  return self;
}

static void free_instance(Instance* self) {
  lilv_instance_free(self->instance);
  for (uint32_t p = 0; p < n_ports; ++p) free(self->audio[p]);
  free(self);
}

static bool allocates;

static void run_plugin(LilvInstance* instance, uint32_t n) REALTIME {
  if (allocates) {
    void* volatile memory = malloc(n + 1);
    free(memory);
  }
  instance->lv2_descriptor->run(instance->lv2_handle, n);
}

static LilvState* read_state(LilvWorld* world, LV2_URID_Map* map, const char* path) {
  LilvState* state = lilv_state_new_from_file(world, map, NULL, path);
  if (!state) exit(3);
  return state;
}

int main(int argc, char** argv) {
  double rate = 48000.0;
  long block = 512, n_samples = 48000, n_instances = 1, n_loads = 1, n_ramp = 0;
  const char *restored = NULL, *saved = NULL;
  bool paced = false, freewheels = true;
  for (int option; (option = getopt(argc, argv, "r:b:n:i:l:t:T:c:pqx")) != -1;) {
    if (option == 'r') rate = atof(optarg);
    if (option == 'b') block = atol(optarg);
    if (option == 'n') n_samples = atol(optarg);
    if (option == 'i') n_instances = atol(optarg);
    if (option == 'l') n_loads = atol(optarg);
    if (option == 't') restored = optarg;
    if (option == 'T') saved = optarg;
    if (option == 'p') paced = true;
    if (option == 'p' || option == 'q') freewheels = false;
    if (option == 'x') allocates = true;
    if (option == 'c') n_ramp = atol(optarg);
    if (option == '?') return 2;
  }
  static Line lines[MOST_LINES];
  size_t n_lines = 0;
  for (char text[256]; n_lines < MOST_LINES && fgets(text, sizeof(text), stdin);) {
    Line* line = &lines[n_lines];
    int length = 0;
    if (sscanf(text, "%ld %15s%n", &line->at, line->word, &length) != 2) continue;
    const char* values = text + length;
    if (strcmp(line->word, "midi") == 0) {
      unsigned b[3] = {0};
      line->n_bytes = (uint32_t)sscanf(values, "%x %x %x", &b[0], &b[1], &b[2]);
      for (int i = 0; i < 3; ++i) line->bytes[i] = (uint8_t)b[i];
    } else if (sscanf(values, "%63s %f", line->name, &line->value) < 1) {
      continue;
    }
    ++n_lines;
  }

  LV2_URID_Map map = {NULL, map_uri};
  LV2_URID_Unmap unmap = {NULL, unmap_uri};
  LV2_Log_Log log = {NULL, log_text, log_values};
  int32_t length = (int32_t)block;
  LV2_URID integer = map_uri(NULL, LV2_ATOM__Int);
  LV2_Options_Option options[] = {
      {LV2_OPTIONS_INSTANCE, 0, map_uri(NULL, LV2_BUF_SIZE__nominalBlockLength), sizeof(length),
       integer, &length},
      {LV2_OPTIONS_INSTANCE, 0, map_uri(NULL, LV2_BUF_SIZE__maxBlockLength), sizeof(length),
       integer, &length},
      {LV2_OPTIONS_INSTANCE, 0, 0, 0, 0, NULL}};
  LV2_Feature map_feature = {LV2_URID__map, &map}, unmap_feature = {LV2_URID__unmap, &unmap},
              log_feature = {LV2_LOG__log, &log}, options_feature = {LV2_OPTIONS__options, options};
  const LV2_Feature* features[] = {&map_feature, &unmap_feature, &log_feature, &options_feature,
                                   NULL};
  LilvWorld* world = lilv_world_new();
  lilv_world_load_all(world);
  LilvNode* uri = lilv_new_uri(world, "urn:audiogen:synth");
  plugin = lilv_plugins_get_by_uri(lilv_world_get_all_plugins(world), uri);
  if (!plugin) return fprintf(stderr, "host: the plug-in is not in LV2_PATH\n"), 3;
  n_ports = lilv_plugin_get_num_ports(plugin);
  if (n_ports > MOST_PORTS || n_instances > MOST_INSTANCES) return 3;
  for (uint32_t p = 0; p < n_ports; ++p) {
    ports[p] = lilv_plugin_get_port_by_index(plugin, p);
    snprintf(symbols[p], sizeof(symbols[p]), "%s",
             lilv_node_as_string(lilv_port_get_symbol(plugin, ports[p])));
  }

  const clock_t began = clock();
  for (long load = 1; load <= n_loads; ++load) {
    for (long i = 0; i < n_instances; ++i) {
      instances[i] = make_instance(rate, features, block, world);
      if (restored) {
        char path[4096];
        snprintf(path, sizeof(path), "%s%ld", restored, i);
        LilvState* state = read_state(world, &map, access(path, R_OK) == 0 ? path : restored);
        lilv_state_restore(state, instances[i]->instance, set_port, instances[i], 0, features);
        lilv_state_free(state);
      }
      lilv_instance_activate(instances[i]->instance);
      if (n_instances > 1) print_memory();
    }
    if (n_loads > 1) print_memory();
    if (load == n_loads) break;
    for (long i = 0; i < n_instances; ++i) {
      lilv_instance_deactivate(instances[i]->instance);
      free_instance(instances[i]);
    }
  }

  const double load_s = (double)(clock() - began) / CLOCKS_PER_SEC;
  fprintf(stderr, "load_ms %.1f\n", 1e3 * load_s / (double)(n_loads * n_instances));

  const LV2_URID sequence = map_uri(NULL, LV2_ATOM__Sequence);
  const LV2_URID midi = map_uri(NULL, LV2_MIDI__MidiEvent);
  const LV2_URID set = map_uri(NULL, LV2_PATCH__Set);
  const LV2_URID property = map_uri(NULL, LV2_PATCH__property);
  const LV2_URID value = map_uri(NULL, LV2_PATCH__value);
  const LV2_URID preset = map_uri(NULL, "urn:audiogen:synth#preset");
  LV2_Atom_Forge forge;
  lv2_atom_forge_init(&forge, &map);
  size_t next = 0;
  struct timespec start;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (long done = 0; done < n_samples;) {
    long n = n_samples - done < block ? n_samples - done : block;
    for (; next < n_lines && lines[next].at <= done && strcmp(lines[next].word, "port") == 0;
         ++next) {
      for (long i = 0; i < n_instances; ++i) {
        instances[i]->values[port_of(lines[next].name)] = lines[next].value;
      }
    }
    for (size_t l = next; l < n_lines; ++l) {
      if (strcmp(lines[l].word, "port") != 0) continue;
      if (lines[l].at > done && lines[l].at < done + n) n = lines[l].at - done;
      break;
    }
    for (long i = 0; i < n_instances; ++i) {
      Instance* self = instances[i];
      LV2_Atom_Forge_Frame all, object;
      lv2_atom_forge_set_buffer(&forge, self->in.bytes, ATOM_SIZE);
      lv2_atom_forge_sequence_head(&forge, &all, 0);
      for (size_t l = next; l < n_lines && lines[l].at < done + n; ++l) {
        const Line* line = &lines[l];
        if (strcmp(line->word, "port") == 0) break;
        lv2_atom_forge_frame_time(&forge, line->at - done);
        if (strcmp(line->word, "midi") == 0) {
          lv2_atom_forge_atom(&forge, line->n_bytes, midi);
          lv2_atom_forge_write(&forge, line->bytes, line->n_bytes);
        } else {
          lv2_atom_forge_object(&forge, &object, 0, set);
          lv2_atom_forge_key(&forge, property);
          lv2_atom_forge_urid(&forge, preset);
          lv2_atom_forge_key(&forge, value);
          lv2_atom_forge_string(&forge, line->name, (uint32_t)strlen(line->name));
          lv2_atom_forge_pop(&forge, &object);
        }
      }
      lv2_atom_forge_pop(&forge, &all);
      self->out.sequence.atom.type = sequence;
      self->out.sequence.atom.size = ATOM_SIZE - sizeof(LV2_Atom);
      for (uint32_t p = 0; p < n_ports; ++p) {
        if (!self->audio[p]) continue;
        lilv_instance_connect_port(self->instance, p, self->audio[p]);
        for (long s = 0; strncmp(symbols[p], "side_", 5) == 0 && s < n; ++s) {
          self->audio[p][s] = done + s < n_ramp ? (float)(done + s) / (float)n_ramp : 0.0f;
        }
      }
      self->values[port_of("freewheel")] = freewheels ? 1.0f : 0.0f;
      run_plugin(self->instance, (uint32_t)n);
      LV2_ATOM_SEQUENCE_FOREACH(&self->out.sequence, event) {
        const LV2_Atom* name = NULL;
        lv2_atom_object_get((const LV2_Atom_Object*)&event->body, value, &name, 0);
        if (i != 0 || !name) continue;
        if (name->type == map_uri(NULL, LV2_ATOM__Bool)) {
          fprintf(stderr, "missing %d\n", ((const LV2_Atom_Bool*)name)->body);
        } else if (name->type == map_uri(NULL, LV2_ATOM__Int)) {
          fprintf(stderr, "playing %d\n", ((const LV2_Atom_Int*)name)->body);
        } else if (name->type == map_uri(NULL, LV2_ATOM__Vector)) {
          const int64_t* words = (const int64_t*)((const LV2_Atom_Vector*)name + 1);
          fprintf(stderr, "keys %llx\n", (unsigned long long)words[0]);
        } else {
          fprintf(stderr, "preset %s\n", (const char*)LV2_ATOM_BODY_CONST(name));
        }
      }
    }
    while (next < n_lines && lines[next].at < done + n && strcmp(lines[next].word, "port") != 0) {
      ++next;
    }
    for (long s = 0; s < n; ++s) {
      fwrite(&instances[0]->audio[port_of("left")][s], sizeof(float), 1, stdout);
      fwrite(&instances[0]->audio[port_of("right")][s], sizeof(float), 1, stdout);
    }
    done += n;
    if (paced) {
      const double due = (double)done / rate;
      struct timespec until = start;
      until.tv_sec += (time_t)due;
      until.tv_nsec += (long)(1e9 * (due - (double)(time_t)due));
      if (until.tv_nsec >= 1000000000) until.tv_nsec -= 1000000000, ++until.tv_sec;
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
  }
  struct timespec end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  fprintf(stderr, "seconds %.6f\n", (double)(end.tv_sec - start.tv_sec) +
                                        1e-9 * (double)(end.tv_nsec - start.tv_nsec));
  fprintf(stderr, "latency %.0f\n", (double)instances[0]->values[port_of("latency")]);
  if (saved) {
    LilvState* state =
        lilv_state_new_from_instance(plugin, instances[0]->instance, &map, NULL, NULL, NULL, NULL,
                                     get_port, instances[0], LV2_STATE_IS_POD, features);
    char folder[4096];
    snprintf(folder, sizeof(folder), "%s", saved);
    char* slash = strrchr(folder, '/');
    if (!slash) return 2;
    *slash = '\0';
    if (lilv_state_save(world, &map, &unmap, state, NULL, folder, slash + 1) != 0) return 3;
    lilv_state_free(state);
  }
  for (long i = 0; i < n_instances; ++i) {
    lilv_instance_deactivate(instances[i]->instance);
    free_instance(instances[i]);
  }
  lilv_node_free(uri);
  lilv_world_free(world);
  return 0;
}
