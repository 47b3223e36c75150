// The module of the page: a synth with buffers for events and samples that JavaScript fills and
// reads, on the C interface.
#include <cstdlib>
#include <memory>
#include <vector>

#include "capi/audiogen.h"

#define PAGE_EXPORT(name) __attribute__((export_name(#name))) name

namespace {

constexpr std::size_t kMostEvents = 8192;  // in one block
constexpr std::size_t kMostMidi = 512;     // bytes in one call

struct Player {
  Player(const audiogen_preset* preset, const audiogen_settings& settings)
      : synth(audiogen_create(preset, &settings)),
        samples(std::size_t{2} * settings.max_block),
        outputs{samples.data(), samples.data() + settings.max_block},
        events(kMostEvents),
        midi(kMostMidi) {}
  ~Player() { audiogen_destroy(synth); }
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

  audiogen_synth* synth;
  std::vector<float> samples;  // [2, max_block]
  float* outputs[2];
  std::vector<audiogen_event> events;
  std::vector<uint8_t> midi;
};

}  // namespace

extern "C" {

void* PAGE_EXPORT(page_allocate)(std::size_t size) { return std::malloc(size); }
void PAGE_EXPORT(page_free)(void* memory) { std::free(memory); }

audiogen_preset* PAGE_EXPORT(page_open)(const char* folder) { return audiogen_open(folder); }
void PAGE_EXPORT(page_close)(audiogen_preset* preset) { audiogen_close(preset); }

Player* PAGE_EXPORT(page_create)(const audiogen_preset* preset, uint32_t sample_rate,
                                 uint32_t max_block, uint32_t polyphony, uint32_t seed) {
  audiogen_settings settings = audiogen_default_settings();
  settings.sample_rate = sample_rate;
  settings.max_block = max_block;
  settings.polyphony = polyphony;
  settings.seed = seed;
  return new Player(preset, settings);
}

void PAGE_EXPORT(page_destroy)(Player* player) { delete player; }

// Addresses of the buffers: samples [2, max_block], events [8192], MIDI bytes [512].
float* PAGE_EXPORT(page_samples)(Player* player) { return player->samples.data(); }
audiogen_event* PAGE_EXPORT(page_events)(Player* player) { return player->events.data(); }
uint8_t* PAGE_EXPORT(page_midi)(Player* player) { return player->midi.data(); }

// Renders n samples; the first n_events events of the buffer take effect in them.
void PAGE_EXPORT(page_process)(Player* player, std::size_t n, std::size_t n_events) {
  audiogen_process(player->synth, player->outputs, n, player->events.data(), n_events, nullptr);
}

// Reads the first n MIDI bytes of the buffer and appends their events to the first n_events events
// of the buffer; returns how many events there are then.
std::size_t PAGE_EXPORT(page_read_midi)(Player* player, std::size_t n, std::size_t n_events) {
  std::size_t read = 0;
  while (read < n) {
    std::size_t n_new = 0;
    const std::size_t n_bytes =
        audiogen_midi(player->synth, player->midi.data() + read, n - read, 0,
                      player->events.data() + n_events, kMostEvents - n_events, &n_new);
    n_events += n_new;
    if (n_bytes == 0) break;  // the buffer of events is full
    read += n_bytes;
  }
  return n_events;
}

int PAGE_EXPORT(page_add_timbre)(Player* player, const float* z, std::size_t n) {
  return audiogen_add_timbre(player->synth, z, n);
}

// Chooses the timbre of later MIDI notes, until a program change.
void PAGE_EXPORT(page_choose_timbre)(Player* player, uint32_t timbre) {
  audiogen_choose_timbre(player->synth, timbre);
}

uint32_t PAGE_EXPORT(page_latency)(const Player* player) { return audiogen_latency(player->synth); }
std::size_t PAGE_EXPORT(page_n_sounding)(const Player* player) {
  return audiogen_n_sounding(player->synth);
}
}
