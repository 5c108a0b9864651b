#!/usr/bin/env node
// Work on responses in JavaScript: haul run urls.txt --process 'cmd:node examples/process.mjs'
//
// `work` is yours; the loop below it stays as it is. haul runs one copy of this program for each CPU thread.

import { createInterface } from "node:readline";

/** Gives what is kept for a response. What it throws fails the job. */
async function work(job) {
  const { below } = JSON.parse(job.body);
  if (below === undefined) throw new Error("the response names no number");
  let sum = 0;
  for (let n = 0; n < below; n += 1) sum += n * n;
  return { sum_of_squares: sum };
}

console.log = console.error; // whatever is logged goes to the log of haul
for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  let answer;
  try {
    answer = { id: job.id, output: (await work(job)) ?? null };
  } catch (error) {
    // retry: "fetch" would ask the server again, "process" only this program
    answer = { id: job.id, error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
