/* The C interface of audiogen: open a preset, play it, get samples.
 *
 *   audiogen_preset *preset = audiogen_open("presets/plucked");
 *   if (!preset) fprintf(stderr, "%s\n", audiogen_error());
 *   audiogen_settings settings = audiogen_default_settings();
 *   audiogen_synth *synth = audiogen_create(preset, &settings);
 *   audiogen_event on = {.kind = AUDIOGEN_NOTE_ON, .id = 1, .pitch = 60.0f, .value = 0.8f};
 *   audiogen_process(synth, channels, 256, &on, 1, NULL);
 *
 * Threads. Every function says from where it may be called:
 *   [any]      any thread, at any time
 *   [control]  any thread but the audio thread: it may allocate, lock and read files
 *   [audio]    one thread at a time for each synth, the audio thread: it does not allocate, lock or
 *              wait
 * A synth must not be destroyed while another function runs on it. Presets may be shared by any
 * number of synths and threads, and may be closed while synths play them.
 *
 * Errors. Functions that can fail return NULL or a negative number and leave a message for
 * `audiogen_error`. [audio] functions never fail: wrong events are ignored.
 *
 * Same preset, settings, events and inputs: same samples, to the bit, as every other front end. */
#ifndef AUDIOGEN_H
#define AUDIOGEN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define AUDIOGEN_API __declspec(dllexport)
#else
#define AUDIOGEN_API __attribute__((visibility("default")))
#endif

typedef struct audiogen_preset audiogen_preset;
typedef struct audiogen_synth audiogen_synth;

/* Version of the library, such as "0.1.0". [any] */
AUDIOGEN_API const char* audiogen_version(void);
/* Message of the last failure in this thread; empty if there was none. [any] */
AUDIOGEN_API const char* audiogen_error(void);

/* --- Presets ---------------------------------------------------------------------------------- */

/* Opens the folder of a preset: preset.toml and weights.safetensors. NULL if anything in it is
 * wrong; the message names the file and the field. Presets of the same folder and content share
 * their weights in memory, as do the synths that play them. [control] */
AUDIOGEN_API audiogen_preset* audiogen_open(const char* folder);
AUDIOGEN_API void audiogen_close(audiogen_preset* preset); /* NULL is ignored. [control] */

/* The texts live as long as the preset. [any] */
AUDIOGEN_API const char* audiogen_preset_name(const audiogen_preset* preset);
AUDIOGEN_API const char* audiogen_preset_kind(const audiogen_preset* preset);     /* "gansynth" or
                                                                                     "samplernn" */
AUDIOGEN_API uint32_t audiogen_preset_sample_rate(const audiogen_preset* preset); /* Hz */
/* 1 if notes have a pitch; 0 if a note is a gate that lets audio be generated. [any] */
AUDIOGEN_API int audiogen_preset_plays_notes(const audiogen_preset* preset);
AUDIOGEN_API size_t audiogen_preset_n_timbres(const audiogen_preset* preset);
/* NULL if there is no such timbre. [any] */
AUDIOGEN_API const char* audiogen_preset_timbre(const audiogen_preset* preset, size_t index);
AUDIOGEN_API size_t audiogen_preset_default_timbre(const audiogen_preset* preset);
/* Instrument family of a timbre, such as "string"; NULL if there is no such timbre. [any] */
AUDIOGEN_API const char* audiogen_preset_family(const audiogen_preset* preset, size_t index);
/* Writes the position of a timbre on its map, 0 to 1 from left to right and from top to bottom;
 * -1 if the preset has no map or no such timbre. [any] */
AUDIOGEN_API int audiogen_preset_place(const audiogen_preset* preset, size_t index, float* x,
                                       float* y);
/* Writes the lowest and the highest pitch that a preset was trained on, as MIDI numbers; -1 if its
 * notes have no pitch. [any] */
AUDIOGEN_API int audiogen_preset_pitch_range(const audiogen_preset* preset, int* lowest,
                                             int* highest);

/* Macros of a preset: what its parameters macro_1, macro_2, ... do. */
typedef struct {
  const char* name;
  const char* help;
  const char* effect; /* as measured, such as "spectral centroid 900 to 2100 Hz"; may be empty */
} audiogen_macro;

AUDIOGEN_API size_t audiogen_preset_n_macros(const audiogen_preset* preset); /* [any] */
/* Writes the texts of a macro, which live as long as the preset; -1 if there is no such macro.
 * [any] */
AUDIOGEN_API int audiogen_preset_macro(const audiogen_preset* preset, size_t index,
                                       audiogen_macro* macro);

/* SHA-256 of preset.toml followed by weights.safetensors, 64 hexadecimal digits. [any] */
AUDIOGEN_API const char* audiogen_preset_hash(const audiogen_preset* preset);

/* The presets that can be opened by name, sorted: those of $AUDIOGEN_PRESETS (folders of presets,
 * divided by ':'), the user's (~/.local/share/audiogen/presets) and the `n` folders of presets
 * given here. Of presets with the same name the first is listed. NULL only without memory.
 * [control] */
typedef struct audiogen_preset_list audiogen_preset_list;
AUDIOGEN_API audiogen_preset_list* audiogen_find_presets(const char* const* folders, size_t n);
AUDIOGEN_API void audiogen_free_presets(
    audiogen_preset_list* list); /* NULL is ignored. [control] */
AUDIOGEN_API size_t audiogen_n_found(const audiogen_preset_list* list); /* [any] */
/* Name, and folder for `audiogen_open`; NULL if there is no such preset. They live as long as the
 * list. [any] */
AUDIOGEN_API const char* audiogen_found_name(const audiogen_preset_list* list, size_t index);
AUDIOGEN_API const char* audiogen_found_folder(const audiogen_preset_list* list, size_t index);

/* --- Parameters ------------------------------------------------------------------------------- */

/* One row of the parameter table (csrc/engine/parameters.h); a new row appears here by itself. */
typedef struct {
  const char* name;
  const char* unit; /* empty: dimensionless */
  float lowest;
  float highest;
  float initial;
  double smoothing_s; /* duration of a change while something sounds; 0: at once */
  int controller;     /* MIDI controller, 0 .. 127; -1: none, -2: pitch wheel */
  const char* help;
} audiogen_parameter;

AUDIOGEN_API size_t audiogen_n_parameters(void); /* [any] */
/* NULL if there is no such parameter. [any] */
AUDIOGEN_API const audiogen_parameter* audiogen_parameter_info(size_t index);
/* Initial value of a parameter for a preset, which may have its own sampling temperature and top_p;
 * 0 if there is no such parameter. [any] */
AUDIOGEN_API float audiogen_preset_initial(const audiogen_preset* preset, size_t index);
/* Index of a parameter by its name; -1 if there is none. [any] */
AUDIOGEN_API int audiogen_parameter_index(const char* name);

/* --- Playing ---------------------------------------------------------------------------------- */

typedef enum { AUDIOGEN_FLOAT32 = 0, AUDIOGEN_BFLOAT16 = 1, AUDIOGEN_INT8 = 2 } audiogen_precision;

typedef struct {
  uint32_t sample_rate; /* Hz; 0: the preset's own */
  uint32_t max_block;   /* longest block, samples */
  uint32_t polyphony;   /* notes that can sound at once */
  uint32_t n_channels;  /* 1 or 2 */
  uint32_t n_inputs;    /* 0, 1 or 2 channels of audio that notes may continue */
  uint64_t seed;
  audiogen_precision precision;
  /* 0: `audiogen_process` renders in place, for offline work. 1: a thread works ahead, so that it
   * only fetches samples; sound comes later by max_block and the margin. */
  int realtime;
  float margin_ms; /* how long that thread may be held up by other programs */
} audiogen_settings;

/* 48 kHz, blocks of 1024, 16 notes, 2 channels, no input, seed 0, float32, in place, 5 ms. [any] */
AUDIOGEN_API audiogen_settings audiogen_default_settings(void);

typedef enum {
  AUDIOGEN_NOTE_OFF = 0,
  AUDIOGEN_NOTE_ON = 1,
  AUDIOGEN_PARAMETER = 2,
  AUDIOGEN_ALL_OFF = 3,
  /* Expression of one note. Events right before the note-on of their id hold from its start. */
  AUDIOGEN_NOTE_BEND = 4,
  AUDIOGEN_NOTE_LEVEL = 5,
  AUDIOGEN_NOTE_SLIDE = 6
} audiogen_event_kind;

typedef struct {
  uint32_t offset; /* samples from the start of the block */
  uint32_t kind;   /* audiogen_event_kind */
  uint32_t id;     /* number of the note, below 2^31; parameter: its index */
  uint32_t timbre; /* note-on: index of its timbre */
  float pitch;     /* note-on: MIDI number */
  float value;     /* note-on: velocity, 0 .. 1; parameter: its new value; all-off: 0 releases all
                      notes, 1 silences them in 5 ms; bend: semitones, -48 .. 48; level: gain,
                      0 .. 4; slide: added to the parameter `macro_1`, -1 .. 1 */
  float pan;       /* note-on: -1 .. 1, added to the parameter `pan` */
} audiogen_event;

/* NULL if a setting is out of range or not supported by the preset. [control] */
AUDIOGEN_API audiogen_synth* audiogen_create(const audiogen_preset* preset,
                                             const audiogen_settings* settings);
AUDIOGEN_API void audiogen_destroy(audiogen_synth* synth); /* NULL is ignored. [control] */

/* Writes the next `n` <= max_block samples to each of n_channels pointers; full scale is 1, and
 * more is not clipped. Events are sorted by offset. `inputs` has n_inputs pointers to `n` samples,
 * or is NULL for silence; no output may be an input. [audio] */
AUDIOGEN_API void audiogen_process(audiogen_synth* synth, float* const* outputs, size_t n,
                                   const audiogen_event* events, size_t n_events,
                                   const float* const* inputs);

/* Reads MIDI 1.0 bytes, with zones of MPE, cut anywhere, and writes the events that they complete
 * at `offset`; pass them to `audiogen_process`. Returns how many bytes were read: all, unless
 * `events` is full, which should have room for 16. [audio] */
AUDIOGEN_API size_t audiogen_midi(audiogen_synth* synth, const uint8_t* bytes, size_t n,
                                  uint32_t offset, audiogen_event* events, size_t capacity,
                                  size_t* n_events);

/* Plays another preset from the next block on; notes that sound fade out in 20 ms, parameters stay.
 * -1 on failure, and then nothing has changed. [control] */
AUDIOGEN_API int audiogen_set_preset(audiogen_synth* synth, const audiogen_preset* preset);

/* Adds a latent of a GANSynth preset as a timbre that notes can name; returns its index, or -1.
 * [control] */
AUDIOGEN_API int audiogen_add_timbre(audiogen_synth* synth, const float* z, size_t n);

/* Plays on with another seed and notes counted from 0, as a new synth would; notes that sound fade
 * out in 20 ms, parameters stay. [control] */
AUDIOGEN_API int audiogen_set_seed(audiogen_synth* synth, uint64_t seed);

/* Queues an event for the start of the next block, whatever its offset. -1 if 1024 events are
 * waiting. [control] */
AUDIOGEN_API int audiogen_post(audiogen_synth* synth, const audiogen_event* event);

/* Sets the timbre of the notes that `audiogen_midi` reads, on every channel until its next program
 * change. [audio] */
AUDIOGEN_API void audiogen_choose_timbre(audiogen_synth* synth, uint32_t timbre);

/* Index of the timbre of the notes that `audiogen_midi` reads next: that of the last program change
 * on any channel, or of a later `audiogen_choose_timbre`. [audio] */
AUDIOGEN_API uint32_t audiogen_midi_timbre(const audiogen_synth* synth);

/* For a synth with `realtime`: 1 renders within `audiogen_process` from the next call on, for a
 * host that renders a file, 0 on the thread again. Latency and samples are the same, but nothing
 * can be late. [audio], except that a change to 1 waits some ms for the thread. */
AUDIOGEN_API void audiogen_set_offline(audiogen_synth* synth, int offline);

/* For a host that asks for the next `n` samples earlier than it can be playing them, without saying
 * that it renders a file: if they would be late, renders within `audiogen_process` until
 * `audiogen_set_offline` ends it. [audio], and waits for the thread up to `longest_s` seconds. */
AUDIOGEN_API void audiogen_hurry(audiogen_synth* synth, size_t n, double longest_s);

/* Samples from an event to its sound. [any] */
AUDIOGEN_API uint32_t audiogen_latency(const audiogen_synth* synth);
AUDIOGEN_API uint32_t audiogen_sample_rate(const audiogen_synth* synth); /* Hz. [any] */
AUDIOGEN_API size_t audiogen_n_sounding(const audiogen_synth* synth);    /* notes. [any] */
/* Blocks that were not ready in time; 0 unless realtime. [any] */
AUDIOGEN_API uint64_t audiogen_n_late(const audiogen_synth* synth);

/* --- State ------------------------------------------------------------------------------------ */

/* What a user has set: preset, seed, timbre or latent, and parameters by name. A state is a value
 * that depends on no synth, so it can be read, kept and written where its preset is missing.
 *
 * Its bytes are text in a versioned format (csrc/capi/state.h) with a checksum. All versions since
 * the first can be read, and fields of later ones are skipped. One thread at a time. */
typedef struct audiogen_state audiogen_state;

/* Reads 1 to `n` of the next bytes and returns how many; 0 at the end, negative on failure. */
typedef int64_t (*audiogen_read)(void* context, void* bytes, size_t n);
/* Writes 1 to `n` bytes and returns how many; 0 or negative on failure. */
typedef int64_t (*audiogen_write)(void* context, const void* bytes, size_t n);

AUDIOGEN_API audiogen_state* audiogen_state_create(void);        /* nothing is set. [control] */
AUDIOGEN_API void audiogen_state_destroy(audiogen_state* state); /* NULL is ignored. [control] */
/* NULL if the bytes are not a state or damaged. [control] */
AUDIOGEN_API audiogen_state* audiogen_state_read(audiogen_read read, void* context);
/* -1 if `write` failed. [control] */
AUDIOGEN_API int audiogen_state_write(const audiogen_state* state, audiogen_write write,
                                      void* context);

/* Name, as of `audiogen_found_name`, and `audiogen_preset_hash`; "" if not set. The setter takes
 * NULL or "" for none, and the hash may be NULL. Setters return -1 on failure, and then nothing has
 * changed. [control] */
AUDIOGEN_API const char* audiogen_state_preset(const audiogen_state* state);
AUDIOGEN_API const char* audiogen_state_hash(const audiogen_state* state);
AUDIOGEN_API int audiogen_state_set_preset(audiogen_state* state, const char* name,
                                           const char* hash);
AUDIOGEN_API uint64_t audiogen_state_seed(const audiogen_state* state);
AUDIOGEN_API void audiogen_state_set_seed(audiogen_state* state, uint64_t seed);
/* Name of a timbre of the preset; "" for its default. [control] */
AUDIOGEN_API const char* audiogen_state_timbre(const audiogen_state* state);
AUDIOGEN_API int audiogen_state_set_timbre(audiogen_state* state, const char* name);
/* A latent that takes the place of the timbre: its size, 0 without one, and its numbers. [control]
 */
AUDIOGEN_API size_t audiogen_state_n_latent(const audiogen_state* state);
AUDIOGEN_API const float* audiogen_state_latent(const audiogen_state* state);
AUDIOGEN_API int audiogen_state_set_latent(audiogen_state* state, const float* z, size_t n);
/* 1 and its value if the parameter of this name was set, or 0. Names that the table of parameters
 * does not have are kept. [control] */
AUDIOGEN_API int audiogen_state_parameter(const audiogen_state* state, const char* name,
                                          float* value);
AUDIOGEN_API int audiogen_state_set_parameter(audiogen_state* state, const char* name, float value);

#ifdef __cplusplus
}
#endif

#endif
