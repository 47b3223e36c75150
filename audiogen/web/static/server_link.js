// The link to the server: one WebSocket.

// receiver: { message(object), sound(ArrayBuffer), closed() }. Returns the link.
export function connectToServer(address, receiver) {
  const socket = new WebSocket(address);
  let isOpen = true;
  const send = (data) => socket.readyState === WebSocket.OPEN && socket.send(data);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    if (!isOpen) return;
    if (typeof data === "string") receiver.message(JSON.parse(data));
    else receiver.sound(data);
  };
  socket.onclose = () => isOpen && receiver.closed();
  return {
    send: (message) => send(JSON.stringify(message)),
    sendFile: (bytes) => send(bytes), // a MIDI file
    close: () => {
      isOpen = false;
      socket.close();
    },
  };
}
