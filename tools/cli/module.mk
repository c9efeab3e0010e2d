# SPDX-License-Identifier: Apache-2.0
# The command line for people. What of it is tested by itself stands first.
cli-pure := $(addprefix tools/cli/, args.c progress.c settings.c table.c units.c)

pure-y += $(cli-pure)
billetctl-y += $(cli-pure) storage/grubenv.c kernel/lib/err.c $(addprefix tools/cli/, \
	api.c commands.c completion.c console.c deadline.c die.c file.c help.c image.c login.c install_media.c main.c node.c release.c rest.c token.c \
	upload.c usage.c vm.c)

# asprintf(), strptime() and the like, also where the tests compile them.
$(foreach f,$(cli-pure),$(eval FLAGS_$(basename $(f)) := -D_GNU_SOURCE))
