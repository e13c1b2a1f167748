// The base of every ratio: one prebuilt frame, written to a TAP in a loop.
//
// usage: write_loop FD single|threads FRAME
//   FD is an inherited descriptor of the TAP. FRAME is a file that holds the frame, or a number of bytes: then it goes to a
//   unicast address that is nobody's, and the host drops it at the Ethernet header. "threads" starts an idle thread first:
//   then libc and the kernel take the slower way to a descriptor, as they do in Node, which has threads.
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "rounds.h"

static int fd;
static uint8_t frame[65549];
static size_t length;

static void run(uint64_t frames) {
  for (uint64_t i = 0; i < frames; i++) {
    if (write(fd, frame, length) != (ssize_t)length) fail("write");
  }
}

static void *idle(void *unused) {
  for (;;) pause();
  return unused;
}

static size_t read_frame(const char *source) {
  char *end;
  const size_t bytes = strtoul(source, &end, 10);
  if (*end == '\0') {
    static const uint8_t header[14] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
    memcpy(frame, header, sizeof header);
    return bytes <= sizeof frame ? bytes : 0;
  }
  FILE *file = fopen(source, "rb");
  if (file == NULL) fail(source);
  const size_t got = fread(frame, 1, sizeof frame, file);
  fclose(file);
  return got;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: write_loop FD single|threads FRAME\n");
    return 2;
  }
  fd = atoi(argv[1]);
  length = read_frame(argv[3]);
  if (length < 14) return 2;
  pthread_t thread;
  if (strcmp(argv[2], "threads") == 0 && pthread_create(&thread, NULL, idle, NULL) != 0) return 1;
  return rounds(run);
}
