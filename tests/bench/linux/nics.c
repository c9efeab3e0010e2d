/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bench's /init for network cards: what one frame costs Linux, from a program's call to the
 * card's doorbell, and from the card's interrupt to the program. It does what tests/kernel/nics.c
 * does with nics=count, with packet sockets, and prints lines of the same form.
 *
 * The frames that come in, come while a loop of known length runs: what it takes longer than
 * without them is the work of interrupts. Then they are read.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#define ROUNDS	      20
#define BURST	      50 /* fits every ring */
#define FLOW_FRAMES   400
#define LOOPS	      200000000ull
#define PAUSE	      20000000ull /* in which a ring is emptied */
#define TYPE_TEST     0x88b5
#define OP_SEND_FLOWS 3

static uint8_t frame[1514];

static void fail(const char *what)
{
	perror(what);
	reboot(RB_POWER_OFF);
}

static void spin(uint64_t loops)
{
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(loops) : : "cc");
}

static void load_modules(void)
{
	char line[256];
	FILE *list = fopen("/modules", "r");

	while (list && fgets(line, sizeof(line), list)) {
		int fd;

		line[strcspn(line, "\n")] = 0;
		fd = open(line, O_RDONLY);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			perror(line);
		close(fd);
	}
}

/* What is sent without a carrier is dropped, and costs nothing. */
static void wait_for_link(int fd, struct ifreq *request)
{
	for (int round = 0; round < 200; round++, usleep(100000)) {
		if (ioctl(fd, SIOCGIFFLAGS, request))
			fail("flags");
		if (request->ifr_flags & IFF_RUNNING)
			return;
	}
	fail("no link");
}

static int open_card(void)
{
	int size = 16 << 20, yes = 1, fd = socket(AF_PACKET, SOCK_RAW, htons(0x0003));
	struct ifreq request = {.ifr_name = "eth0"};
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(0x0003)};

	if (fd < 0 || ioctl(fd, SIOCGIFINDEX, &request))
		fail("eth0");
	at.sll_ifindex = request.ifr_ifindex;
	ioctl(fd, SIOCGIFFLAGS, &request);
	request.ifr_flags |= IFF_UP | IFF_PROMISC;
	if (ioctl(fd, SIOCSIFFLAGS, &request) || bind(fd, (void *)&at, sizeof(at)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)))
		fail("eth0 up");
	wait_for_link(fd, &request);
	return fd;
}

static void measure_sends(int fd, size_t len)
{
	uint64_t ticks = 0, start;

	for (int round = -1; round < ROUNDS; round++) { /* the first is not counted */
		start = __rdtsc();
		for (int i = 0; i < BURST; i++)
			if (send(fd, frame, len, 0) != (ssize_t)len)
				fail("send");
		if (round >= 0)
			ticks += __rdtsc() - start;
		spin(PAUSE);
	}
	printf("nics: send of %zu bytes: %lu ticks\n", len,
	       (unsigned long)(ticks / ROUNDS / BURST));
}

/* How long the loop takes, less what it does by itself; both with the timer's interrupts. */
static uint64_t loop(void)
{
	uint64_t start = __rdtsc();

	spin(LOOPS);
	return __rdtsc() - start;
}

/* Reads what is there. Returns how many of the flows' frames it is. */
static int read_all(int fd)
{
	uint8_t got[2048];
	int nr = 0;

	while (recv(fd, got, sizeof(got), MSG_DONTWAIT) > 0)
		nr += got[12] == 0x08 || got[12] == 0x86;
	return nr;
}

/* First, frames that came late, as the peer is slow, and the console's output come to their end. */
static void measure_receives(int fd)
{
	uint64_t base, with, start, reading;
	int nr;

	do {
		loop();
	} while (read_all(fd) > 0);
	base = loop();
	frame[14] = OP_SEND_FLOWS;
	if (send(fd, frame, 60, 0) != 60)
		fail("send");
	with = loop();
	start = __rdtsc();
	nr = read_all(fd);
	reading = __rdtsc() - start;
	printf("nics: received %d: %lu ticks each\n", nr,
	       nr ? (unsigned long)((with - base + reading) / nr) : 0);
}

int main(void)
{
	static const uint8_t head[] = {2, 0xb1, 0, 0, 0, 2, 2, 0xb1, 0, 0, 0, 1, 0x88, 0xb5};
	int fd, console = open("/dev/console", O_WRONLY);

	dup2(console, 1);
	dup2(console, 2);
	setvbuf(stdout, NULL, _IONBF, 0);
	load_modules();
	fd = open_card();
	spin(LOOPS);
	memcpy(frame, head, sizeof(head));
	measure_sends(fd, 60);
	measure_sends(fd, 1514);
	for (int i = 0; i < 3; i++)
		measure_receives(fd);
	reboot(RB_POWER_OFF);
	return 0;
}
