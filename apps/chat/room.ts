/**
 * The chat: who is there, and what each command does.
 *
 * @module
 */

import { printable } from "../printable.ts";

/** Somebody in the room, as the room sees him. */
export interface Member {
  /** His name, which the room gives and changes. */
  name: string;
  /** Shows him a line, or drops it if he reads too slowly. */
  post(line: string): void;
  /** Ends his connection when what was posted has been sent. */
  leave(): void;
}

/** What a name consists of. */
const namePattern = /^[\p{L}\p{N}][\p{L}\p{N}_-]{0,19}$/u;

const helpLines = [
  "* /name NAME  be called NAME",
  "* /who        who is here",
  "* /quit       leave",
  "* anything else is said to everybody",
];

/** Everybody who is there. */
export class Room {
  readonly #members = new Map<string, Member>();
  #guests = 0;

  /** How many are there. */
  get size(): number {
    return this.#members.size;
  }

  /** Lets somebody in, and gives him a name. */
  enter(member: Member): void {
    do member.name = `guest${++this.#guests}`; while (this.#members.has(member.name));
    this.#members.set(member.name, member);
    member.post(`* Welcome, ${member.name}. ${this.#census()}; /help shows what you can do`);
    this.#tellOthers(member, `* ${member.name} has joined`);
  }

  /** Lets somebody go, and tells the others what he did: `has left`. Does nothing the second time. */
  exit(member: Member, how: string = "has left"): void {
    if (this.#members.get(keyOf(member.name)) !== member) return;
    this.#members.delete(keyOf(member.name));
    this.#tellOthers(member, `* ${member.name} ${how}`);
  }

  /** Somebody has typed a line, which is clean already. */
  hear(member: Member, line: string): void {
    // Whoever has said goodbye is not heard any more, even if he goes on typing.
    if (line === "" || this.#members.get(keyOf(member.name)) !== member) return;
    if (!line.startsWith("/")) return this.#tellOthers(member, `${member.name}: ${line}`);
    const [command, ...words] = line.slice(1).split(/ +/);
    const argument = words.join(" ");
    switch (command) {
      case "name":
        return this.#rename(member, argument);
      case "who":
        return member.post(`* ${[...this.#members.values()].map(({ name }) => name).join(", ")}`);
      case "quit":
        member.post("* Goodbye");
        this.exit(member);
        return member.leave();
      case "help":
        return helpLines.forEach((help) => member.post(help));
      default:
        return member.post(`* There is no command /${command}: /help shows those that there are`);
    }
  }

  /** Tells everybody something, and lets all go. */
  close(farewell: string): void {
    for (const member of this.#members.values()) {
      member.post(farewell);
      member.leave();
    }
    this.#members.clear();
  }

  #rename(member: Member, wanted: string): void {
    const name = printable(wanted.normalize("NFKC"));
    if (!namePattern.test(name)) {
      return member.post("* A name has up to 20 letters, digits, - and _, and begins with a letter or digit");
    }
    const owner = this.#members.get(keyOf(name));
    if (owner !== undefined && owner !== member) return member.post(`* Somebody else is called ${owner.name}`);
    const before = member.name;
    this.#members.delete(keyOf(before));
    member.name = name;
    this.#members.set(keyOf(name), member);
    member.post(`* You are ${name} now`);
    this.#tellOthers(member, `* ${before} is ${name} now`);
  }

  #census(): string {
    const others = this.#members.size - 1;
    return others === 0 ? "You are alone" : others === 1 ? "One other is here" : `${others} others are here`;
  }

  #tellOthers(member: Member, line: string): void {
    for (const other of this.#members.values()) if (other !== member) other.post(line);
  }
}

/** Names that differ by case only are the same. */
function keyOf(name: string): string {
  return name.toLowerCase();
}
