// Standard MIDI files: the messages of all tracks in order of time, without the drums; for a drum kit
// the drums alone, if there are any.

const DRUMS = 9; // channel, from 0
const MAX_NOTES = 50_000;
const [META, END_OF_TRACK, TEMPO] = [0xff, 0x2f, 0x51];
const [NOTE_OFF, NOTE_ON, CONTROL] = [8, 9, 11];

// bytes: a Uint8Array. Returns { messages: [{ at, data }], notes, drums, seconds }; `at` is a sample.
export function readMidiFile(bytes, sampleRate, forKit = false) {
  const { division, tracks } = chunks(bytes);
  const events = tracks.flatMap(trackEvents).sort((a, b) => a.tick - b.tick || rank(a) - rank(b));
  const music = [];
  const drums = [];
  const counts = { notes: 0, drums: 0 };
  const zones = new Zones();
  let [seconds, tick] = [0, 0];
  let secondsPerTick = division.seconds ?? 0.5 / division.ticks; // 120 beats per minute at first
  for (const event of events) {
    seconds += (event.tick - tick) * secondsPerTick;
    tick = event.tick;
    if (event.tempo) {
      secondsPerTick = division.seconds ?? event.tempo / 1e6 / division.ticks;
      continue;
    }
    zones.read(event.data);
    const isDrum = (event.data[0] & 15) === DRUMS && !zones.haveDrumChannel;
    if (startsNote(event)) counts[isDrum ? "drums" : "notes"]++;
    (isDrum ? drums : music).push({ at: Math.round(seconds * sampleRate), data: event.data });
  }
  const messages = forKit && counts.drums ? drums : music;
  if (forKit && counts.drums) Object.assign(counts, { notes: counts.drums, drums: 0 });
  if (!counts.notes) {
    throw new Error(counts.drums ? "the MIDI file has only drum notes; choose a drum kit" : "the MIDI file has no notes");
  }
  if (counts.notes > MAX_NOTES) throw new Error(`the MIDI file has ${counts.notes} notes; at most ${MAX_NOTES} are played`);
  return { messages, ...counts, seconds: Math.round(1000 * seconds) / 1000 };
}

// Whether channel 10 is a member of a zone of MPE, which registered parameter 6 on channel 1 or 16
// configures, and then has no drums.
class Zones {
  rpn = [127, 127];
  haveDrumChannel = false;

  read([status, number, value]) {
    if (status >> 4 !== CONTROL) return;
    if (number === 101 || number === 100) this.rpn[101 - number] = value;
    if (number === 99 || number === 98) this.rpn = [127, 127];
    if (number !== 6 || this.rpn[0] !== 0 || this.rpn[1] !== 6) return;
    const channel = status & 15;
    if (channel === 0) this.haveDrumChannel ||= value >= DRUMS;
    if (channel === 15) this.haveDrumChannel ||= value >= 15 - DRUMS;
  }
}

const startsNote = ({ data }) => data && data[0] >> 4 === NOTE_ON && data[2] > 0;
// At one tick: tempo, then note-offs, then controls, then note-ons.
const rank = (event) => (event.tempo ? 0 : startsNote(event) ? 3 : event.data[0] >> 4 <= NOTE_ON ? 1 : 2);
const damaged = () => new Error("the file is damaged, or not a standard MIDI file");

function chunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 14 || name(0) !== "MThd") throw damaged();
  const word = view.getInt16(12);
  // Ticks of a beat; or frames per second, negative, and ticks of a frame.
  const division = word > 0 ? { ticks: word } : { seconds: 1 / (-(word >> 8) * (word & 255)) };
  if (word === 0 || division.seconds === Infinity) throw damaged();
  const tracks = [];
  for (let at = 8 + view.getUint32(4); at + 8 <= bytes.length; ) {
    const end = at + 8 + view.getUint32(at + 4);
    if (name(at) === "MTrk") tracks.push(bytes.subarray(at + 8, Math.min(end, bytes.length)));
    at = end;
  }
  return { division, tracks };
}

function trackEvents(bytes) {
  const events = [];
  let [at, tick, status] = [0, 0, 0];
  const byte = () => {
    if (at >= bytes.length) throw damaged();
    return bytes[at++];
  };
  const number = () => {
    for (let value = 0, i = 0; i < 4; i++) {
      const next = byte();
      value = value * 128 + (next & 127);
      if (next < 128) return value;
    }
    throw damaged();
  };
  while (at < bytes.length) {
    tick += number();
    if (bytes[at] >= 128) status = byte();
    if (status === META) {
      const kind = byte();
      const length = number();
      if (kind === END_OF_TRACK) break;
      if (kind === TEMPO && length === 3) {
        events.push({ tick, tempo: (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2] });
      }
      at += length;
    } else if (status >= 0xf0) {
      at += number(); // system exclusive
    } else if (status >= 0x80) {
      const kind = status >> 4;
      const data = kind === 0xc || kind === 0xd ? [status, byte()] : [status, byte(), byte()];
      if (kind >= NOTE_OFF) events.push({ tick, data });
    } else {
      throw damaged();
    }
  }
  return events;
}
