import { assert } from "@std/assert";
import { Identification } from "../../stack/network/identification.ts";
import { SeededRandom } from "../../stack/random.ts";

Deno.test("Identifications start where nobody can know, and go round at 16 bits", () => {
  const first = new Identification(new SeededRandom(1)).next(1, 2, 17);
  const second = new Identification(new SeededRandom(2)).next(1, 2, 17);
  assert(first !== second);
  const identification = new Identification(new SeededRandom(1));
  for (let count = 0; count < 70_000; count++) {
    const value = identification.next(1, 2, 17);
    assert(value >= 0 && value <= 0xffff);
  }
});
