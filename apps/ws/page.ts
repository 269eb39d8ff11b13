/**
 * The page that `ws serve` shows to browsers: it talks to the server that it came from.
 *
 * @module
 */

/** The page, as HTML. */
export const page: string = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>tapstack WebSocket echo</title>
<style>
  body { font: 1rem/1.5 system-ui; margin: 3rem auto; max-width: 40rem }
  ol { font-family: monospace; list-style: none; padding: 0 }
  .sent::before { content: "> " } .received::before { content: "< " } .state { color: gray }
</style>
<h1>WebSocket echo over tapstack</h1>
<form><input size="50" autofocus placeholder="Type a message, press Enter"></form>
<ol id="log"></ol>
<script>
  const note = (kind, text) => {
    const item = document.createElement("li");
    item.className = kind;
    item.textContent = text;
    document.getElementById("log").append(item);
  };
  const socket = new WebSocket(location.href.replace(/^http/, "ws"));
  const send = (text) => {
    socket.send(text);
    note("sent", text);
  };
  socket.onopen = () => {
    note("state", "connected");
    send("hello from the browser");
  };
  socket.onmessage = ({ data }) => note("received", data);
  socket.onclose = ({ code, reason }) => note("state", "closed: " + code + " " + reason);
  document.forms[0].onsubmit = (event) => {
    event.preventDefault();
    const input = event.target.elements[0];
    if (input.value !== "") send(input.value);
    input.value = "";
  };
</script>
</html>
`;
