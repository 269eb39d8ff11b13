/**
 * All benchmarks, in the order of the table.
 *
 * @module
 */

import type { Benchmark } from "./benchmark.ts";
import { bulkBenchmarks } from "./bulk.ts";
import { datagramBenchmark } from "./datagrams.ts";
import { inMemoryBenchmarks } from "./in_memory.ts";
import { multiCoreBenchmark } from "./multi_core.ts";
import { startBenchmark } from "./program_start.ts";
import { requestBenchmarks } from "./requests.ts";
import { roundTripBenchmark } from "./round_trips.ts";
import { synFloodBenchmark } from "./syn_flood.ts";
import { underLoadBenchmarks } from "./under_load.ts";

/** All benchmarks. */
export const benchmarks: readonly Benchmark[] = [
  ...bulkBenchmarks,
  roundTripBenchmark,
  ...requestBenchmarks,
  datagramBenchmark,
  ...inMemoryBenchmarks,
  startBenchmark,
  ...underLoadBenchmarks,
  synFloodBenchmark,
  multiCoreBenchmark,
];
