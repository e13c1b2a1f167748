// The base of every ratio: one prebuilt frame, written to a TAP in a loop.
//
// usage: write_loop INTERFACE FRAME_BYTES FRAMES   attaches to that TAP, prints nanoseconds a frame
//        write_loop --fd FD single|threads FRAME_BYTES FRAMES
//            an inherited descriptor: one round, and one line, for every line on stdin, so that rounds can alternate with
//            another program's on the same TAP. "threads" starts an idle one first: then libc and the kernel take the
//            slower way to a descriptor, as they do in Node, which has threads.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int attach(const char *name) {
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -1;
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  return ioctl(fd, TUNSETIFF, &request) < 0 ? -1 : fd;
}

static int run(int fd, const uint8_t *frame, size_t length, uint64_t frames) {
  const uint64_t start = now();
  for (uint64_t i = 0; i < frames; i++) {
    if (write(fd, frame, length) != (ssize_t)length) {
      perror("write");
      return 1;
    }
  }
  printf("%.1f\n", (double)(now() - start) / (double)frames);
  fflush(stdout);
  return 0;
}

static void *idle(void *unused) {
  for (;;) pause();
  return unused;
}

int main(int argc, char **argv) {
  const int inherited = argc == 6 && strcmp(argv[1], "--fd") == 0;
  if (argc != 4 && !inherited) {
    fprintf(stderr, "usage: write_loop INTERFACE FRAME_BYTES FRAMES | --fd FD single|threads FRAME_BYTES FRAMES\n");
    return 2;
  }
  const int fd = inherited ? atoi(argv[2]) : attach(argv[1]);
  if (fd < 0) {
    perror("TAP");
    return 1;
  }
  const size_t length = strtoul(argv[argc - 2], NULL, 10);
  const uint64_t frames = strtoull(argv[argc - 1], NULL, 10);
  if (length < 14 || length > 65549 || frames == 0) return 2;
  // To a unicast address that is nobody's: the host looks at the Ethernet header and drops the frame.
  uint8_t *frame = calloc(1, length);
  static const uint8_t header[14] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
  memcpy(frame, header, sizeof header);
  if (!inherited) return run(fd, frame, length, frames);
  pthread_t thread;
  if (strcmp(argv[3], "threads") == 0 && pthread_create(&thread, NULL, idle, NULL) != 0) return 1;
  char line[16];
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (run(fd, frame, length, frames) != 0) return 1;
  }
  return 0;
}
