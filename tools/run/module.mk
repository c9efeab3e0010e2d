# SPDX-License-Identifier: Apache-2.0
# What people run: the product at work, and every test.

guest-image := $(B)/guest/vmlinuz $(B)/guest/initrd.img
$(guest-image) &: tools/guest/make-image tools/guest/init tools/guest/lease
	$(call say,GUEST,$(B)/guest)tools/guest/make-image $(B)/guest

.PHONY: agent-tests
run: $(B)/billet.elf $(B)/billetd $(B)/billetctl $(guest-image)
	$(Q)tools/run/run $(if $(ONCE),--once) $(if $(MACHINE),--machine $(MACHINE))

# ---- tests --------------------------------------------------------------------------------------

system: $(B)/billet.elf $(B)/billetd $(B)/billetctl $(guest-image)
	tests/run-system $(TESTS)

agent-tests: $(B)/agent/agent-test.elf $(B)/billetd
	tests/agent/test_agent.py

# One part after the other: machines in emulators want the CPUs for themselves.
test:
	+$(Q)tests/run-all "$(MAKE)"
