/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small ports. The keyboard controller answers its self tests and says that both of its ports have
 * nothing connected, so that a driver that looks finds out at once instead of waiting.
 */
#include "vmm/dev/fw_misc.h"

#include "kernel/memory.h"
#include "vmm/layout.h"

/* [8042] status bits and controller commands, as in the IBM PC/AT's technical reference */
#define STATUS_OUTPUT_FULL 0x01u
#define STATUS_SYSTEM	   0x04u /* self test was passed */
#define STATUS_COMMAND	   0x08u /* the last write was a command */
#define STATUS_UNLOCKED	   0x10u

#define CMD_READ_CTR	 0x20u
#define CMD_WRITE_CTR	 0x60u
#define CMD_TEST_AUX	 0xa9u
#define CMD_SELF_TEST	 0xaau
#define CMD_TEST_KBD	 0xabu
#define CMD_READ_OUTPUT	 0xd0u
#define CMD_WRITE_OUTPUT 0xd1u
#define CMD_PULSE_RESET	 0xfeu

#define SELF_TEST_PASSED 0x55u
#define PORT_STUCK_LOW	 0x01u /* of the interface tests: clock line stuck, as with nothing there */
#define OUTPUT_RESET	 0x01u /* of the output port: 0 resets */
#define OUTPUT_IDLE	 0xdfu

/* System control port A */
#define A20_FAST_RESET 0x01u
#define A20_ENABLED    0x02u

/* The reset control register of PC chipsets: bit 2 going high resets. */
#define RESET_CPU  0x04u
#define RESET_BITS 0x0eu

struct fw_misc {
	struct vdev dev;
	bool has_output, was_command;
	uint8_t output, command, config; /* command: whose argument is awaited, or 0 */
	uint8_t post_code, reset_control;
};

static struct fw_misc *fw_misc_of(struct vdev *dev)
{
	return container_of(dev, struct fw_misc, dev);
}

static void reset_vm(struct fw_misc *fw, const char *why)
{
	vm_stop(fw->dev.vm, VM_STOP_RESET, why);
}

static void answer(struct fw_misc *fw, uint8_t byte)
{
	fw->output = byte;
	fw->has_output = true;
}

static void run_command(struct fw_misc *fw, uint8_t command)
{
	fw->command = 0;
	fw->was_command = true;
	switch (command) {
	case CMD_READ_CTR:
		answer(fw, fw->config);
		break;
	case CMD_SELF_TEST:
		answer(fw, SELF_TEST_PASSED);
		break;
	case CMD_TEST_KBD:
	case CMD_TEST_AUX:
		answer(fw, PORT_STUCK_LOW);
		break;
	case CMD_READ_OUTPUT:
		answer(fw, OUTPUT_IDLE);
		break;
	case CMD_WRITE_CTR:
	case CMD_WRITE_OUTPUT:
		fw->command = command;
		break;
	case CMD_PULSE_RESET:
		reset_vm(fw, "the guest pulsed the keyboard controller's reset line");
		break;
	default: /* enabling and disabling of what is not there */
		break;
	}
}

static void write_data(struct fw_misc *fw, uint8_t val)
{
	uint8_t command = fw->command;

	fw->command = 0;
	fw->was_command = false;
	if (command == CMD_WRITE_CTR)
		fw->config = val;
	else if (command == CMD_WRITE_OUTPUT && !(val & OUTPUT_RESET))
		reset_vm(fw, "the guest cleared the keyboard controller's reset bit");
}

static uint8_t read_data(struct fw_misc *fw)
{
	fw->has_output = false;
	return fw->output;
}

static uint8_t read_status(const struct fw_misc *fw)
{
	return STATUS_SYSTEM | STATUS_UNLOCKED | (fw->has_output ? STATUS_OUTPUT_FULL : 0) |
	       (fw->was_command ? STATUS_COMMAND : 0);
}

static void write_reset_control(struct fw_misc *fw, uint8_t val)
{
	uint8_t before = fw->reset_control;

	fw->reset_control = val & RESET_BITS;
	if (!(before & RESET_CPU) && (val & RESET_CPU))
		reset_vm(fw, "the guest wrote its reset register");
}

static uint8_t read_port(struct fw_misc *fw, uint64_t port)
{
	switch (port) {
	case LAYOUT_I8042_DATA:
		return read_data(fw);
	case LAYOUT_I8042_STATUS:
		return read_status(fw);
	case LAYOUT_POST_CODE:
		return fw->post_code;
	case LAYOUT_FAST_A20:
		return A20_ENABLED;
	default:
		return fw->reset_control;
	}
}

static void write_port(struct fw_misc *fw, uint64_t port, uint8_t val)
{
	switch (port) {
	case LAYOUT_I8042_DATA:
		write_data(fw, val);
		break;
	case LAYOUT_I8042_STATUS:
		run_command(fw, val);
		break;
	case LAYOUT_POST_CODE: /* also what systems write to in order to wait a microsecond */
		fw->post_code = val;
		break;
	case LAYOUT_FAST_A20: /* A20 is always on */
		if (val & A20_FAST_RESET)
			reset_vm(fw, "the guest used the fast reset of port 0x92");
		break;
	default:
		write_reset_control(fw, val);
	}
}

static enum io_result fw_misc_access(struct vdev *dev, enum io_space space, struct io_access *acc)
{
	struct fw_misc *fw = fw_misc_of(dev);

	(void)space;
	if (acc->size != 1)
		return IO_UNCLAIMED;
	if (acc->is_write)
		write_port(fw, acc->addr, (uint8_t)acc->value);
	else
		acc->value = read_port(fw, acc->addr);
	return IO_DONE;
}

static void fw_misc_reset(struct vdev *dev)
{
	struct fw_misc *fw = fw_misc_of(dev);

	fw->has_output = fw->was_command = false;
	fw->output = fw->command = fw->config = 0;
	fw->post_code = fw->reset_control = 0;
}

static enum hv_err fw_misc_create(struct vm *vm, const void *conf, struct vdev **out)
{
	struct fw_misc *fw = kmem_alloc(sizeof(*fw));

	(void)conf;
	if (fw == NULL)
		return HV_ENOMEM;
	fw->dev.ops = &fw_misc_ops;
	fw->dev.vm = vm;
	*out = &fw->dev;
	return HV_OK;
}

static void fw_misc_destroy(struct vdev *dev)
{
	kmem_free(fw_misc_of(dev));
}

const struct vdev_ops fw_misc_ops = {
	.name = "fw-misc",
	.create = fw_misc_create,
	.access = fw_misc_access,
	.reset = fw_misc_reset,
	.destroy = fw_misc_destroy,
};
