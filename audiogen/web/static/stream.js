// The path of the sound: worker -> ring worklet -> loudspeaker and analyser.

export class Stream extends EventTarget {
  constructor(leadMs = 60) {
    super();
    this.leadMs = leadMs;
    this.sampleRate = null;
    this.context = null;
    this.starts = []; // { frame, position }: the sample of the stream that played at a frame of the context
    this.ring = { fill: 0, late: 0, played: 0 };
    this.worker = new Worker(new URL("stream-worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.receive(data);
  }

  // Connects to the server, or starts the engine of a page without one, whose head names it.
  connect() {
    const here = new URL(".", location.href);
    const engine = document.querySelector('meta[name="audiogen-engine"]')?.content;
    if (engine) {
      const presets = new URL("presets/", here).href;
      this.worker.postMessage({ connect: { engine: new URL(engine, here).href, presets } });
      return;
    }
    const address = new URL("socket", here);
    address.protocol = address.protocol.replace("http", "ws");
    this.worker.postMessage({ connect: { socket: address.href } });
  }

  send(message) {
    this.worker.postMessage({ send: message });
  }

  // bytes: an ArrayBuffer, a standard MIDI file.
  sendFile(bytes) {
    this.worker.postMessage({ file: bytes }, [bytes]);
  }

  receive(message) {
    if (message.type === "hello") this.sampleRate = message.sample_rate;
    if (message.type === "ring") this.ring = message;
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }

  get running() {
    return this.context?.state === "running";
  }

  // Needs a click or a key: browsers allow no sound before.
  start() {
    this.starting ??= this.open().catch((error) => {
      this.context?.close();
      this.context = this.starting = null; // another click tries again
      throw error;
    });
    // "interrupted" on iOS, after a call
    if (this.context && !this.running) this.context.resume().catch(() => {});
    return this.starting;
  }

  async open() {
    if (!this.sampleRate) await new Promise((known) => this.addEventListener("hello", known, { once: true }));
    const context = new AudioContext({ sampleRate: this.sampleRate, latencyHint: "interactive" });
    this.context = context;
    if (!context.audioWorklet) {
      throw new Error(
        "Browsers allow sound only on pages from 127.0.0.1, localhost or https.",
      );
    }
    await context.audioWorklet.addModule(new URL("ring-worklet.js", import.meta.url));
    this.node = new AudioWorkletNode(context, "ring", {
      numberOfInputs: 0,
      outputChannelCount: [2],
      processorOptions: {
        capacity: 2 ** Math.ceil(Math.log2(2.2 * context.sampleRate)),
        threshold: this.threshold,
      },
    });
    this.node.port.onmessage = ({ data }) => this.starts.push(data);
    this.analyser = new AnalyserNode(context, { fftSize: 4096, smoothingTimeConstant: 0 });
    this.node.connect(this.analyser).connect(context.destination);
    const { port1, port2 } = new MessageChannel();
    this.worker.postMessage({ ring: port1 }, [port1]);
    this.node.port.postMessage({ port: port2 }, [port2]);
    await context.resume();
    this.begin();
    this.dispatchEvent(new Event("running"));
  }

  // Asks for sound, also after a new connection.
  begin() {
    if (!this.node) return;
    this.node.port.postMessage({ reset: true });
    this.send({ type: "start", lead_ms: this.leadMs });
  }

  get threshold() {
    return Math.floor((0.7 * this.leadMs * this.sampleRate) / 1000);
  }

  setLead(ms) {
    this.leadMs = ms;
    if (!this.node) return;
    this.node.port.postMessage({ threshold: this.threshold });
    this.send({ type: "start", lead_ms: ms });
  }

  // From a key to the loudspeaker, without the latency of the engine.
  get latencyMs() {
    const { baseLatency = 0, outputLatency = 0 } = this.context ?? {};
    return (1000 * this.ring.fill) / this.sampleRate + 1000 * (baseLatency + outputLatency);
  }

  record() {
    this.worker.postMessage({ record: true });
  }

  // Resolves to { file, frames }.
  finishRecording() {
    this.worker.postMessage({ finish: true });
  }
}
