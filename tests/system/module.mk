# SPDX-License-Identifier: Apache-2.0
#
# Guests of the system tests: tests/system/guests/NAME.c becomes build/guest-tests/NAME.bzimage, which a
# controller's VM can boot.

system-guest-src := $(wildcard tests/system/guests/*.c)
system-guests := $(patsubst tests/system/guests/%.c,$(B)/guest-tests/%.bzimage,$(system-guest-src))

$(B)/guest-tests/%.bzimage: $(B)/guest-tests/tests/system/guests/%.o $(B)/guest-tests/tests/system/guests/bzimage.o $(guest-lib) \
        tests/system/guests/bzimage.lds
	$(call say,LD,$@)ld -nostdlib -static -z noexecstack --no-warn-rwx-segments -T tests/system/guests/bzimage.lds \
	        -o $(@:.bzimage=.sys.elf) $(filter %.o,$^) && objcopy -O binary $(@:.bzimage=.sys.elf) $@
.SECONDARY: $(patsubst tests/system/guests/%.c,$(B)/guest-tests/tests/system/guests/%.o,$(system-guest-src)) $(B)/guest-tests/tests/system/guests/bzimage.o

system: $(system-guests) $(B)/billet.iso $(B)/billet.img
