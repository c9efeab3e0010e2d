# SPDX-License-Identifier: Apache-2.0
#
# The agent guest: build/agent/agent.elf, which the kernel embeds, and for development
# build/agent/agent-test.elf, the same with a node in memory in place of the control device.

agent-pure-y := agent/port/virtqueue.c agent/backoff.c agent/conf.c agent/http.c agent/identity.c agent/enrol.c \
        agent/report.c agent/sync.c agent/images.c agent/usage.c agent/console.c agent/update.c agent/status.c
agent-shared-y := agent/protocol/form.c agent/protocol/json_out.c agent/protocol/messages.c agent/protocol/schema.c \
        kernel/lib/err.c
agent-port-y := agent/port/entry.S agent/port/start.c agent/port/paging.c agent/port/trap.c agent/port/clock.c \
        agent/port/timer.c agent/port/uart.c agent/port/pci.c agent/port/virtio_pci.c agent/port/nic.c \
        agent/port/newlib.c agent/port/entropy.c
agent-y += $(agent-pure-y) $(agent-shared-y) $(agent-port-y) agent/log.c agent/wall.c agent/tls.c agent/client.c \
        agent/net.c agent/node.c agent/task_enrol.c agent/task_desired.c agent/task_report.c agent/task_bulk.c \
        agent/task_input.c agent/task_update.c agent/task_status.c agent/fault.c agent/main.c
agent-control-y := agent/port/control.c
agent-test-y := tests/agent/fake_control.c
pure-y += $(agent-pure-y)

agent-objects = $(patsubst %,$(B)/agent/%.o,$(basename $(1)))
agent-rsp := $(B)/agent/cflags.rsp
agent-libs-src := tools/build/source.list $(shell find tools/build/libs -type f)

$(B)/agent/libs.stamp: $(agent-libs-src)
	$(call say,LIBS,$(B)/agent)mkdir -p $(@D) && tools/build/libs/rsp $(agent-rsp) $(B)/agent/ldflags.rsp && touch $@
$(agent-rsp): $(B)/agent/libs.stamp ;

$(B)/agent/%.o: %.c $(agent-rsp)
	$(call say,CC,$@)mkdir -p $(@D) && gcc @$(agent-rsp) -I. -DBILLET_AGENT=1 $(WARN) -MMD -MP -c -o $@ $<
$(B)/agent/%.o: %.S $(agent-rsp)
	$(call say,AS,$@)mkdir -p $(@D) && gcc @$(agent-rsp) -I. -D__ASSEMBLER__ -MMD -MP -c -o $@ $<

$(B)/agent/agent.elf: $(call agent-objects,$(agent-y) $(agent-control-y))
$(B)/agent/agent-test.elf: $(call agent-objects,$(agent-y) $(agent-test-y))
$(B)/agent/agent.elf $(B)/agent/agent-test.elf: agent/port/agent.lds
	$(call say,LD,$@)ld -nostdlib -static --gc-sections -z noexecstack -z max-page-size=4096 --build-id=none -T agent/port/agent.lds -o $@.debug \
	        $(filter %.o,$^) --start-group $$(cat $(B)/agent/ldflags.rsp) --end-group && strip -o $@ $@.debug

.PHONY: agent agent-test
agent-test: $(B)/agent/agent-test.elf $(B)/billetd
	tests/agent/test_agent.py
agent: $(B)/agent/agent.elf $(B)/agent/agent-test.elf
all: $(B)/agent/agent.elf
