// What the programs of the benchmark share: one round for every line on stdin, which says how many frames, so that the
// rounds of several programs can alternate. The answer is nanoseconds a frame, and how often the kernel took the processor away meanwhile: such a round
// tells of the machine's other work.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void fail(const char *what) {
  perror(what);
  exit(1);
}

static inline long preemptions(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

// run(frames) sends so many frames, or ends the process.
static inline int rounds(void (*run)(uint64_t frames)) {
  char line[24];
  while (fgets(line, sizeof line, stdin) != NULL) {
    const uint64_t frames = strtoull(line, NULL, 10);
    if (frames == 0) return 2;
    const long before = preemptions();
    const uint64_t start = now_ns();
    run(frames);
    const uint64_t took = now_ns() - start;
    printf("%.2f %ld\n", (double)took / (double)frames, preemptions() - before);
    fflush(stdout);
  }
  return 0;
}
