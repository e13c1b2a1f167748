// The receiving end: a UDP socket that only holds what it gets (its buffer fills, and the kernel drops the rest there), or
// one that is read as fast as it goes.
//
// usage: udp_sink hold|read PORT      prints "ready"; ends when stdin does, and prints the number of datagrams read
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rounds.h"

enum { BATCH = 64, BYTES = 2048 };

static uint8_t buffers[BATCH][BYTES];

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: udp_sink hold|read PORT\n");
    return 2;
  }
  const int reading = strcmp(argv[1], "read") == 0;
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
  if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) < 0) fail("bind");
  printf("ready\n");
  fflush(stdout);
  struct mmsghdr messages[BATCH];
  struct iovec iov[BATCH];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < BATCH; i++) {
    iov[i] = (struct iovec){buffers[i], BYTES};
    messages[i].msg_hdr.msg_iov = &iov[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  uint64_t got = 0;
  struct pollfd wait[2] = {{0, POLLIN, 0}, {fd, POLLIN, 0}};
  for (;;) {
    if (poll(wait, reading ? 2 : 1, -1) < 0) fail("poll");
    if (wait[0].revents != 0) break;
    const int count = reading ? recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL) : 0;
    if (count > 0) got += (uint64_t)count;
  }
  printf("%llu\n", (unsigned long long)got);
  return 0;
}
