/**
 * What every arriving segment does in every state: RFC 9293 section 3.10.7 with RFC 5961 (blind attacks), RFC 1337
 * (resets in TIME-WAIT) and RFC 6191 (SYNs in TIME-WAIT), as one table.
 *
 * A row is about one kind of segment and one acknowledgement number, or several of either:
 *
 * | word     | kind                                     |
 * | -------- | ---------------------------------------- |
 * | `SYN`    | SYN                                      |
 * | `ACK`    | no control bit but perhaps ACK           |
 * | `FIN`    | FIN without data                         |
 * | `RST`    | RST                                      |
 * | `data`   | ten bytes                                |
 *
 * | word     | acknowledgement                          |
 * | -------- | ---------------------------------------- |
 * | `none`   | the ACK bit is not set                   |
 * | `old`    | SND.UNA - MAX.SND.WND - 1                |
 * | `dup`    | SND.UNA                                  |
 * | `new`    | SND.NXT: of everything that was sent     |
 * | `unsent` | SND.NXT + 1                              |
 * | `any`    | any of these                             |
 *
 * The columns say where the segment begins:
 *
 * | word     | sequence number                          |
 * | -------- | ---------------------------------------- |
 * | `left`   | RCV.NXT - 100,000                        |
 * | `NXT-1`  | RCV.NXT - 1                              |
 * | `NXT`    | RCV.NXT                                  |
 * | `inside` | RCV.NXT + 100                            |
 * | `edge-1` | RCV.NXT + RCV.WND - 1                    |
 * | `edge`   | RCV.NXT + RCV.WND                        |
 * | `right`  | RCV.NXT + RCV.WND + 1000                 |
 *
 * A row with a single cell means it in every column. A cell is a reply (`-` for none), the state afterwards when it is
 * another one (`>STATE`), and how many bytes are delivered (`+10`).
 *
 * Cells with a number in brackets stand where the RFCs leave a choice, contradict each other or are not followed:
 *
 * 1. RFC 9293 answers the peer's SYN, when it comes again in SYN-RECEIVED, with ACK. It says that our SYN and ACK have
 *    been lost or take long: they are sent again, as by every other TCP.
 * 2. A segment that was received before is not taken, but its acknowledgement counts when it is not too old, so that
 *    two ends which both send again what the other has got tell each other. RFC 9293 drops it whole.
 * 3. Nothing that lies behind the peer's FIN belongs to its stream. It is ignored; RFC 9293 does not say whether it is
 *    acknowledged. As elsewhere, only what was received before is.
 * 4. The text of RFC 9293 answers with ACK, its section 3.5 (figure 7) and section 3.10.7.4 ("trimming off any portions
 *    that lie outside the window (including SYN and FIN)") take the acknowledgement.
 * 5. RFC 9293 drops a segment without ACK only when it lies in the window. No TCP sends one in any place.
 * 6. A bare FIN needs no buffer: it is taken at RCV.NXT although the window is closed, where RFC 9293 has it come again.
 *
 * @module
 */

/** The rows of every state. */
export const stateGrid: Readonly<Record<string, string>> = {
  // RFC 9293 section 3.10.7.1
  "CLOSED": `
                            left    NXT-1             NXT                inside           edge-1           edge   right
    RST any                 -
    SYN,ACK,FIN,data any    rst
  `,

  // RFC 9293 section 3.10.7.2
  "LISTEN": `
                            left    NXT-1             NXT                inside           edge-1           edge   right
    RST any                 -
    SYN none                syn+ack>SYN-RECEIVED
    ACK,FIN,data none       -
    SYN,ACK,FIN,data old    rst
    SYN,ACK,FIN,data dup    rst
    SYN,ACK,FIN,data new    rst
    SYN,ACK,FIN,data unsent rst
  `,

  // RFC 9293 section 3.10.7.3
  "SYN-SENT": `
                            left    NXT-1             NXT                inside           edge-1           edge   right
    RST none,old,dup,unsent -
    RST new                 ->CLOSED
    SYN none                syn+ack>SYN-RECEIVED
    SYN new                 ack>ESTABLISHED
    SYN old,dup,unsent      rst
    ACK,FIN,data none,new   -
    ACK,FIN,data old        rst
    ACK,FIN,data dup        rst
    ACK,FIN,data unsent     rst
  `,

  // RFC 9293 section 3.10.7.4, like all that follow
  "SYN-RECEIVED, passive": `
                            left    NXT-1             NXT                inside           edge-1           edge   right
    RST any                 -       -                 ->LISTEN           ack              ack              -      -
    SYN none                ack     syn+ack[1]        ->LISTEN           ->LISTEN         ->LISTEN         ack    ack
    SYN old,dup,new,unsent  ack     ack               ->LISTEN           ->LISTEN         ->LISTEN         ack    ack
    ACK,FIN none            ack     ack               -                  -                -                ack    ack
    ACK,FIN old,dup,unsent  ack     ack               rst                rst              rst              ack    ack
    ACK new                 ack     ack               ->ESTABLISHED      ->ESTABLISHED    ->ESTABLISHED    ack    ack
    FIN new                 ack     ack               ack>CLOSE-WAIT     ack>ESTABLISHED  ack>ESTABLISHED  ack    ack
    data none               ack     -                 -                  -                -                ack    ack
    data old,dup,unsent     ack     rst               rst                rst              rst              ack    ack
    data new                ack     ack>ESTABLISHED+9 ack>ESTABLISHED+10 ack>ESTABLISHED  ack>ESTABLISHED  ack    ack
  `,

  "SYN-RECEIVED, active": `
                            left    NXT-1             NXT                inside           edge-1           edge   right
    RST any                 -       -                 ->CLOSED           ack              ack              -      -
    SYN none                ack     syn+ack[1]        ack                ack              ack              ack    ack
    SYN old,dup,unsent      ack     rst[4]            ack                ack              ack              ack    ack
    SYN new                 ack     ack>ESTABLISHED[4] ack               ack              ack              ack    ack
    ACK,FIN none            ack     ack               -                  -                -                ack    ack
    ACK,FIN old,dup,unsent  ack     ack               rst                rst              rst              ack    ack
    ACK new                 ack     ack               ->ESTABLISHED      ->ESTABLISHED    ->ESTABLISHED    ack    ack
    FIN new                 ack     ack               ack>CLOSE-WAIT     ack>ESTABLISHED  ack>ESTABLISHED  ack    ack
    data none               ack     -                 -                  -                -                ack    ack
    data old,dup,unsent     ack     rst               rst                rst              rst              ack    ack
    data new                ack     ack>ESTABLISHED+9 ack>ESTABLISHED+10 ack>ESTABLISHED  ack>ESTABLISHED  ack    ack
  `,

  "ESTABLISHED": `
                            left    NXT-1             NXT                inside           edge-1           edge   right
    RST any                 -       -                 ->CLOSED           ack              ack              -      -
    SYN any                 ack
    ACK,FIN none            ack     ack               -                  -                -                ack    ack
    ACK,FIN,data old,unsent ack
    ACK dup,new             ack     ack               -                  -                -                ack    ack
    FIN dup,new             ack     ack               ack>CLOSE-WAIT     ack              ack              ack    ack
    data none               ack     -                 -                  -                -                ack    ack
    data dup,new            ack     ack+9             ack+10             ack              ack              ack    ack
  `,

  // RCV.WND is zero: nothing is acceptable, but for RST, ACK and URG at RCV.NXT (MUST-66). Here NXT-1 is edge-1, and NXT
  // is edge.
  "ESTABLISHED, our window closed": `
                            left    NXT-1             NXT                inside           edge-1           edge               right
    RST any                 -       -                 ->CLOSED           -                -                ->CLOSED           -
    SYN any                 ack
    ACK,FIN none            ack     ack               -                  ack              ack              -                  ack
    ACK,FIN,data old,unsent ack
    ACK dup,new             ack     ack               -                  ack              ack              -                  ack
    FIN dup,new             ack     ack               ack>CLOSE-WAIT[6]  ack              ack              ack>CLOSE-WAIT[6]  ack
    data none               ack     -[5]              -[5]               ack              -[5]             -[5]               ack
    data dup,new            ack
  `,

  "FIN-WAIT-1": `
                            left    NXT-1             NXT                inside           edge-1           edge   right
    RST any                 -       -                 ->CLOSED           ack              ack              -      -
    SYN any                 ack
    ACK,FIN none            ack     ack               -                  -                -                ack    ack
    ACK,FIN,data old,unsent ack
    ACK dup                 ack     ack               -                  -                -                ack    ack
    ACK new                 ack     ack>FIN-WAIT-2[2] ->FIN-WAIT-2       ->FIN-WAIT-2     ->FIN-WAIT-2     ack    ack
    FIN dup                 ack     ack               ack>CLOSING        ack              ack              ack    ack
    FIN new                 ack     ack>FIN-WAIT-2[2] ack>TIME-WAIT      ack>FIN-WAIT-2   ack>FIN-WAIT-2   ack    ack
    data none               ack     -                 -                  -                -                ack    ack
    data dup                ack     ack+9             ack+10             ack              ack              ack    ack
    data new                ack     ack>FIN-WAIT-2+9  ack>FIN-WAIT-2+10  ack>FIN-WAIT-2   ack>FIN-WAIT-2   ack    ack
  `,

  "FIN-WAIT-2": `
                            left    NXT-1             NXT                inside           edge-1           edge   right
    RST any                 -       -                 ->CLOSED           ack              ack              -      -
    SYN any                 ack
    ACK,FIN none            ack     ack               -                  -                -                ack    ack
    ACK,FIN,data old,unsent ack
    ACK dup,new             ack     ack               -                  -                -                ack    ack
    FIN dup,new             ack     ack               ack>TIME-WAIT      ack              ack              ack    ack
    data none               ack     -                 -                  -                -                ack    ack
    data dup,new            ack     ack+9             ack+10             ack              ack              ack    ack
  `,

  "CLOSE-WAIT": `
                            left    NXT-1             NXT                inside           edge-1           edge   right
    RST any                 -       -                 ->CLOSED           ack              ack              -      -
    SYN any                 ack
    ACK,FIN none            ack     ack               -                  -                -                ack    ack
    ACK,FIN,data old,unsent ack
    ACK dup,new             ack     ack               -                  -                -                ack    ack
    FIN dup,new             ack     ack               -[3]               -[3]             -[3]             ack    ack
    data none               ack     -                 -                  -                -                ack    ack
    data dup,new            ack     ack[3]            -[3]               -[3]             -[3]             ack    ack
  `,

  "CLOSING": `
                            left    NXT-1             NXT                inside           edge-1           edge   right
    RST any                 -       -                 ->CLOSED           ack              ack              -      -
    SYN any                 ack
    ACK,FIN none            ack     ack               -                  -                -                ack    ack
    ACK,FIN,data old,unsent ack
    ACK dup                 ack     ack               -                  -                -                ack    ack
    ACK new                 ack     ack>TIME-WAIT[2]  ->TIME-WAIT        ->TIME-WAIT      ->TIME-WAIT      ack    ack
    FIN dup                 ack     ack               -[3]               -[3]             -[3]             ack    ack
    FIN new                 ack     ack>TIME-WAIT[2]  ->TIME-WAIT[3]     ->TIME-WAIT[3]   ->TIME-WAIT[3]   ack    ack
    data none               ack     -                 -                  -                -                ack    ack
    data dup                ack     ack[3]            -[3]               -[3]             -[3]             ack    ack
    data new                ack     ->TIME-WAIT       ->TIME-WAIT        ->TIME-WAIT      ->TIME-WAIT      ack    ack
  `,

  "LAST-ACK": `
                            left    NXT-1             NXT                inside           edge-1           edge   right
    RST any                 -       -                 ->CLOSED           ack              ack              -      -
    SYN any                 ack
    ACK,FIN none            ack     ack               -                  -                -                ack    ack
    ACK,FIN,data old,unsent ack
    ACK dup                 ack     ack               -                  -                -                ack    ack
    ACK new                 ack     ->CLOSED[2]       ->CLOSED           ->CLOSED         ->CLOSED         ack    ack
    FIN dup                 ack     ack               -[3]               -[3]             -[3]             ack    ack
    FIN new                 ack     ->CLOSED[2]       ->CLOSED           ->CLOSED         ->CLOSED         ack    ack
    data none               ack     -                 -                  -                -                ack    ack
    data dup                ack     ack[3]            -[3]               -[3]             -[3]             ack    ack
    data new                ack     ->CLOSED          ->CLOSED           ->CLOSED         ->CLOSED         ack    ack
  `,

  // RFC 1337 section 3 ignores all resets; RFC 9293 section 3.6.1 and RFC 6191 section 2 allow a new connection. RCV.WND
  // is taken as zero: the peer has said that it has nothing more to send.
  "TIME-WAIT": `
                            left    NXT-1  NXT    inside               edge-1               edge                 right
    RST any                 -
    SYN none                ack     ack    ack    syn+ack>SYN-RECEIVED syn+ack>SYN-RECEIVED syn+ack>SYN-RECEIVED syn+ack>SYN-RECEIVED
    SYN old,dup,new,unsent  ack
    ACK,FIN,data none       -[5]
    ACK old,dup,new,unsent  ack     ack    -      ack                  ack                  ack                  ack
    FIN,data old,dup,new,unsent ack
  `,
};

/** The kinds of segments. */
export const kinds = ["SYN", "ACK", "FIN", "RST", "data"] as const;
/** The acknowledgement numbers. */
export const acknowledgements = ["none", "old", "dup", "new", "unsent"] as const;
/** Where segments begin. */
export const positions = ["left", "NXT-1", "NXT", "inside", "edge-1", "edge", "right"] as const;

/** One of {@linkcode kinds}. */
export type Kind = typeof kinds[number];
/** One of {@linkcode acknowledgements}. */
export type Acknowledgement = typeof acknowledgements[number];
/** One of {@linkcode positions}. */
export type Position = typeof positions[number];

/** One segment and what it must do. */
export interface Cell {
  readonly kind: Kind;
  readonly acknowledgement: Acknowledgement;
  readonly position: Position;
  /** The cell without the number of its note. */
  readonly outcome: string;
}

/** The cells of one state; each segment has exactly one. */
export function cellsOf(state: string): Cell[] {
  const cells = new Map<string, Cell>();
  const [header, ...rows] = stateGrid[state]!.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (header!.split(/\s+/).join() !== positions.join()) throw new SyntaxError(`The columns of ${state} are others`);
  for (const row of rows) {
    const [kindList, ackList, ...outcomes] = row.split(/\s+/) as [string, string, ...string[]];
    if (outcomes.length !== 1 && outcomes.length !== positions.length) {
      throw new SyntaxError(`${state} has ${outcomes.length} cells in "${row}"`);
    }
    for (const kind of kindList.split(",") as Kind[]) {
      for (const acknowledgement of ackList === "any" ? acknowledgements : ackList.split(",") as Acknowledgement[]) {
        for (const [column, position] of positions.entries()) {
          const key = `${kind} ${acknowledgement} ${position}`;
          if (cells.has(key)) throw new SyntaxError(`${state} has two cells for ${key}`);
          const outcome = (outcomes[column] ?? outcomes[0])!.replace(/\[\d\]$/, "");
          cells.set(key, { kind, acknowledgement, position, outcome });
        }
      }
    }
  }
  const all = kinds.length * acknowledgements.length * positions.length;
  if (cells.size !== all) throw new SyntaxError(`${state} has ${cells.size} cells, not ${all}`);
  return [...cells.values()];
}
