/* Plays a chord with a preset and writes a WAV file, whose samples are those of
 *   audiogen.load("plucked", sample_rate=48000).render("[C4 E4 G4]:1", stereo=True)
 * Build: cc play.c -o play $(pkg-config --cflags --libs audiogen)
 * Run:   ./play presets/plucked chord.wav */
#include <audiogen.h>
#include <stdio.h>
#include <string.h>

enum { RATE = 48000, BLOCK = 480, SECONDS = 2 };

static void header(FILE *file, uint32_t n_frames) {
  uint32_t words[11] = {0x46464952, 36 + 8 * n_frames, 0x45564157, 0x20746d66, 16, 0x00020003,
                        RATE, 8 * RATE, 0x00200008, 0x61746164, 8 * n_frames};
  fwrite(words, 4, 11, file); /* RIFF, float32, stereo, on a little-endian machine */
}

int main(int argc, char **argv) {
  audiogen_preset *preset = argc == 3 ? audiogen_open(argv[1]) : NULL;
  audiogen_settings settings = audiogen_default_settings();
  audiogen_synth *synth = preset ? audiogen_create(preset, &settings) : NULL;
  FILE *file = synth ? fopen(argv[2], "wb") : NULL;
  if (!file) return fprintf(stderr, "usage: play PRESET_FOLDER OUT.wav; %s\n", audiogen_error());
  float left[BLOCK], right[BLOCK], *channels[] = {left, right}, frames[2 * BLOCK];
  uint32_t skip = audiogen_latency(synth), timbre = audiogen_preset_default_timbre(preset);
  header(file, SECONDS * RATE);
  for (uint32_t at = 0, written = 0; written < SECONDS * RATE; at += BLOCK) {
    audiogen_event events[3];
    uint32_t n = at == 0 || at == RATE ? 3 : 0, kept = 0;
    for (uint32_t i = 0; i < n; ++i) {
      audiogen_event event = {0, at ? AUDIOGEN_NOTE_OFF : AUDIOGEN_NOTE_ON, i, timbre,
                              (float[]){60, 64, 67}[i], 0.8f, 0.0f};
      events[i] = event;
    }
    audiogen_process(synth, channels, BLOCK, events, n, NULL);
    for (uint32_t i = 0; i < BLOCK && written + kept < SECONDS * RATE; ++i) {
      if (at + i < skip) continue; /* the engine's latency */
      frames[2 * kept] = left[i], frames[2 * kept++ + 1] = right[i];
    }
    written += fwrite(frames, 8, kept, file);
  }
  audiogen_destroy(synth), audiogen_close(preset);
  return fclose(file);
}
