/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bench's /init for disks: what a read of 4 KiB at a random place costs Linux, one at a time
 * with pread() and 32 at a time with io_submit(), past the page cache. It does what
 * tests/kernel/disk_check.c does with disk-check=reads, and prints lines of the same form.
 *
 * While the reads are under way, a thread of the lowest priority runs a loop of known length on the
 * same CPU: what is not its turns is the work of the reads, on both sides of the system call.
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#define READS	   2000u
#define DEPTH	   32u
#define BYTES	   4096u
#define SPAN_BYTES (8u << 20)
#define SPIN_LOOPS 1000u

static volatile uint64_t nr_spins;
static uint8_t *buffers;
static uint64_t random_state = 0x9e3779b97f4a7c15;

static void fail(const char *what)
{
	perror(what);
	reboot(RB_POWER_OFF);
}

static void *spin_for_ever(void *arg)
{
	struct sched_param lowest = {0};

	sched_setscheduler(0, SCHED_IDLE, &lowest);
	for (;;) {
		uint64_t loops = SPIN_LOOPS;

		__asm__ volatile("1: dec %0; jnz 1b" : "+r"(loops) : : "cc");
		nr_spins++;
	}
	return arg;
}

static off_t random_place(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (off_t)(random_state % (SPAN_BYTES / BYTES) * BYTES);
}

static void read_one_at_a_time(int disk)
{
	for (uint32_t i = 0; i < READS; i++)
		if (pread(disk, buffers, BYTES, random_place()) != BYTES)
			fail("pread");
}

static void prepare(struct iocb *block, int disk, uint32_t slot)
{
	*block = (struct iocb){
		.aio_data = slot,
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)disk,
		.aio_buf = (uint64_t)(uintptr_t)(buffers + slot * BYTES),
		.aio_nbytes = BYTES,
		.aio_offset = random_place(),
	};
}

static void read_many_at_a_time(int disk)
{
	static struct iocb blocks[DEPTH], *list[DEPTH];
	static struct io_event events[DEPTH];
	aio_context_t context = 0;
	uint32_t nr_started = DEPTH, nr_ended = 0;

	if (syscall(SYS_io_setup, DEPTH, &context))
		fail("io_setup");
	for (uint32_t i = 0; i < DEPTH; i++) {
		prepare(&blocks[i], disk, i);
		list[i] = &blocks[i];
	}
	if (syscall(SYS_io_submit, context, (long)DEPTH, list) != DEPTH)
		fail("io_submit");
	while (nr_ended < READS) {
		long nr = syscall(SYS_io_getevents, context, 1l, (long)DEPTH, events, NULL),
		     more = 0;

		if (nr < 1)
			fail("io_getevents");
		nr_ended += (uint32_t)nr;
		for (long i = 0; i < nr && nr_started < READS; i++, nr_started++) {
			if (events[i].res != BYTES)
				fail("a read");
			prepare(&blocks[events[i].data], disk, (uint32_t)events[i].data);
			list[more++] = &blocks[events[i].data];
		}
		if (more && syscall(SYS_io_submit, context, more, list) != more)
			fail("io_submit");
	}
	syscall(SYS_io_destroy, context);
}

static double ticks_per_spin(void)
{
	uint64_t first = nr_spins, start = __rdtsc();

	sleep(1);
	return (double)(__rdtsc() - start) / (double)(nr_spins - first);
}

static void measure(int disk, uint32_t depth, void (*reads)(int disk))
{
	double each = ticks_per_spin();
	uint64_t first = nr_spins, start = __rdtsc();
	double ticks;

	reads(disk);
	ticks = (double)(__rdtsc() - start) - (double)(nr_spins - first) * each;
	printf("disks: reads, %u at a time: %.0f ticks each\n", depth, ticks / READS);
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

static int open_disk(void)
{
	static const char *const names[] = {"/dev/nvme0n1", "/dev/vda", "/dev/sda"};

	for (int round = 0; round < 100; round++, usleep(100000))
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			int disk = open(names[i], O_RDONLY | O_DIRECT);

			if (disk >= 0)
				return disk;
		}
	return -1;
}

int main(void)
{
	pthread_t spinner;
	int disk;

	mkdir("/dev", 0755);
	mount("dev", "/dev", "devtmpfs", 0, "");
	load_modules();
	disk = open_disk();
	if (disk < 0)
		fail("no disk");
	if (posix_memalign((void **)&buffers, BYTES, DEPTH * BYTES) ||
	    pthread_create(&spinner, NULL, spin_for_ever, NULL))
		fail("no memory");
	measure(disk, 1, read_one_at_a_time);
	measure(disk, DEPTH, read_many_at_a_time);
	reboot(RB_POWER_OFF);
	return 0;
}
