/**
 * The program at the other end for round trips and datagrams, the same for every network:
 *
 *     peer.ts echo PORT                      accepts one TCP connection and sends everything back
 *     peer.ts datagrams ADDRESS PORT MS      sends 64-byte datagrams to an echo server, and prints answers per second
 *
 * @module
 */

import { accept, close, connectDatagram, listen, receive, send } from "./peer_sockets.ts";

/** Datagrams that are on their way at the same time. */
const window = 32;
const datagramBytes = 64;
/** When what is missing is taken for lost, in milliseconds. */
const lossTimeout = 50;

function echo(port: number): void {
  const listener = listen(port);
  console.log("ready");
  const conn = accept(listener);
  const buffer = new Uint8Array(new ArrayBuffer(65536));
  for (let length = receive(conn, buffer); length > 0; length = receive(conn, buffer)) send(conn, buffer, length);
  close(conn);
  close(listener);
}

/** Keeps the window full for a time, and returns answers per second. The first tenth of the time does not count. */
function exchangeDatagrams(address: string, port: number, duration: number): number {
  const socket = connectDatagram(address, port, lossTimeout);
  const out = new Uint8Array(new ArrayBuffer(datagramBytes));
  const into = new Uint8Array(new ArrayBuffer(2048));
  const warm = performance.now() + duration / 10;
  const end = performance.now() + duration * 1.1;
  let answers = 0;
  let countedFrom = 0;
  let underWay = 0;
  for (let now = performance.now(); now < end; now = performance.now()) {
    for (; underWay < window; underWay++) send(socket, out, datagramBytes);
    if (receive(socket, into) < 0) underWay = 0;
    else {
      underWay--;
      answers++;
    }
    if (countedFrom === 0 && now >= warm) {
      countedFrom = now;
      answers = 0;
    }
  }
  close(socket);
  return answers * 1000 / (performance.now() - countedFrom);
}

const [mode, ...args] = Deno.args;
if (mode === "echo") echo(Number(args[0]));
else if (mode === "datagrams") console.log(exchangeDatagrams(args[0]!, Number(args[1]), Number(args[2])));
else throw new Error(`Unknown mode "${mode}"`);
