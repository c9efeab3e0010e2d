/* SPDX-License-Identifier: Apache-2.0 */
/* One row a command: its words, what it takes, what it is for. Parsing, help and completion are
 * made of it. */
#include "tools/cli/commands.h"

#define ANY OPERANDS_ANY
#define LS  OPT(QUIET)

const struct command commands[] = {
	/* group, verb, operands, completed by, min, max, options, needed, summary, details,
	   function */
	{"node", "ls", NULL, NULL, 0, 0, OPT(ALL) | LS, 0, "list nodes", NULL, node_ls},
	{"node", "show", "NODE", "node", 1, 1, 0, 0, "show all that is known of a node", NULL,
	 node_show},
	{"node", "approve", "NODE", "node", 1, 1, OPT(NAME) | OPT(FINGERPRINT), 0,
	 "let a pending node in",
	 "A pending node is named by its id; 'billetctl node show' has its key's fingerprint, as "
	 "has its screen.",
	 node_approve},
	{"node", "rm", "NODE...", "node", 1, ANY, OPT(FORCE), 0,
	 "remove nodes and revoke their certificates",
	 "With --force also nodes that VMs are on; the VMs are deleted.", node_rm},
	{"node", "update", "NODE...", "node", 1, ANY,
	 OPT(RELEASE) | OPT(CANCEL) | OPT(FORCE) | OPT(WAIT) | OPT(TIMEOUT), 0,
	 "have nodes run another release of Billet",
	 "A node fetches the release, checks its signature, writes it into the slot that does not "
	 "run, and boots it once.\n"
	 "If it reaches the controller from there, it keeps it; otherwise the release before it "
	 "comes back by itself.\n"
	 "The node reboots, and VMs on it with it: with VMs that run, --force says that this is "
	 "meant.",
	 node_update},
	{"node", "install-media", "NAME", NULL, 1, 1,
	 OPT(OUTPUT) | OPT(FROM) | OPT(CONTROLLER) | OPT(JOIN_TOKEN) | OPT(ADDRESS) | OPT(GATEWAY) |
		 OPT(DNS) | OPT(UPDATE_KEY) | OPT(CMDLINE) | OPT(FORCE),
	 OPT(OUTPUT), "make a boot disk for one node",
	 "The disk boots on BIOS and UEFI machines; the node enrols as NAME. Written to a USB "
	 "stick or the node's own disk\n"
	 "it is what the node boots from and what updates are written to.\n\n"
	 "  billetctl node install-media rack3-07 --output /dev/sdX --update-key release.key\n"
	 "  billetctl node install-media rack3-08 --output n8.img --address 192.0.2.8/24 --gateway "
	 "192.0.2.1 --dns 192.0.2.1",
	 node_install_media},

	{"join-token", "create", "NAME", NULL, 1, 1, OPT(USES) | OPT(EXPIRES) | OPT(AUTO_APPROVE),
	 0, "make a token that admits nodes",
	 "Its secret is shown once. Beside the controller's CA it goes into a node's "
	 "configuration.",
	 join_token_create},
	{"join-token", "ls", NULL, NULL, 0, 0, LS, 0, "list join tokens", NULL, join_token_ls},
	{"join-token", "rm", "TOKEN...", "join-token", 1, ANY, 0, 0, "revoke join tokens", NULL,
	 join_token_rm},

	{"token", "create", "NAME", NULL, 1, 1, OPT(ROLE) | OPT(EXPIRES), OPT(ROLE),
	 "make an API token for a person or a program", "Its secret is shown once.", token_create},
	{"token", "ls", NULL, NULL, 0, 0, LS, 0, "list API tokens", NULL, token_ls},
	{"token", "rm", "TOKEN...", "token", 1, ANY, 0, 0, "delete API tokens", NULL, token_rm},

	{"image", "upload", "NAME FILE", "file", 2, 2, OPT(KIND), 0,
	 "upload a kernel or an initramfs",
	 "An upload that was cut off goes on where it stopped when the same command is given "
	 "again.",
	 image_upload},
	{"image", "ls", NULL, NULL, 0, 0, LS, 0, "list images", NULL, image_ls},
	{"image", "show", "IMAGE", "image", 1, 1, 0, 0, "show an image", NULL, image_show},
	{"image", "rm", "IMAGE...", "image", 1, ANY, 0, 0, "delete images", NULL, image_rm},

	{"release", "keygen", "FILE", "file", 1, 1, 0, 0, "make a key to sign releases with",
	 "The private key goes to FILE, its public half to standard output.", release_keygen},
	{"release", "pubkey", "FILE", "file", 1, 1, 0, 0, "print the public half of a key", NULL,
	 release_pubkey},
	{"release", "upload", "FILE", "file", 1, 1, OPT(KEY) | OPT(NAME), OPT(KEY),
	 "sign a billet.elf and upload it",
	 "Its version is read out of the file. An upload that was cut off goes on where it stopped "
	 "when the same\n"
	 "command is given again.",
	 release_upload},
	{"release", "ls", NULL, NULL, 0, 0, LS, 0, "list releases", NULL, release_ls},
	{"release", "show", "RELEASE", "release", 1, 1, 0, 0, "show a release", NULL, release_show},
	{"release", "rm", "RELEASE...", "release", 1, ANY, 0, 0, "delete releases", NULL,
	 release_rm},

	{"vm", "create", "NAME", NULL, 1, 1,
	 OPT(KERNEL) | OPT(INITRD) | OPT(CMDLINE) | OPT(VCPUS) | OPT(MEMORY) | OPT(NODE) |
		 OPT(NETWORK) | OPT(WEIGHT) | OPT(CAP) | OPT(TSC_KHZ) | OPT(NO_START) | OPT(WAIT) |
		 OPT(TIMEOUT),
	 OPT(KERNEL), "create a VM, and start it", NULL, vm_create},
	{"vm", "ls", NULL, NULL, 0, 0, OPT(NODE) | LS, 0, "list VMs", NULL, vm_ls},
	{"vm", "show", "VM", "vm", 1, 1, 0, 0, "show all that is known of a VM", NULL, vm_show},
	{"vm", "start", "VM...", "vm", 1, ANY, 0, 0,
	 "start VMs, also those that crashed or powered off", NULL, vm_start},
	{"vm", "stop", "VM...", "vm", 1, ANY, 0, 0, "stop VMs, as by pulling the plug", NULL,
	 vm_stop},
	{"vm", "pause", "VM...", "vm", 1, ANY, 0, 0, "pause VMs", NULL, vm_pause},
	{"vm", "resume", "VM...", "vm", 1, ANY, 0, 0, "let paused VMs run on", NULL, vm_resume},
	{"vm", "reboot", "VM...", "vm", 1, ANY, 0, 0, "reset VMs and boot them anew", NULL,
	 vm_reboot},
	{"vm", "rm", "VM...", "vm", 1, ANY, 0, 0, "destroy VMs; their usage is kept", NULL, vm_rm},
	{"vm", "console", "VM", "vm", 1, 1, OPT(NEW) | OPT(SEND) | OPT(UNTIL) | OPT(TIMEOUT), 0,
	 "talk to a VM's serial console",
	 "On a terminal, Ctrl-] ends it. Otherwise standard input goes to the guest and its output "
	 "to standard output;\n"
	 "it ends when --until matches, or after --timeout, or when it is killed. What the guest "
	 "wrote before is shown\n"
	 "first, unless --new is given; --until looks at all that is shown.\n\n"
	 "  billetctl vm console web1 --new --send 'uname -r\\n' --until '^[0-9.]+-cloud' "
	 "--timeout 30s",
	 vm_console},
	{"vm", "wait", "VM", "vm", 1, 1, OPT(STATE) | OPT(TIMEOUT), 0,
	 "wait until a VM is in a state",
	 "Fails at once when the VM crashes, or cannot be made, while something else is waited "
	 "for.",
	 vm_wait},

	{"usage", NULL, NULL, NULL, 0, 0, OPT(VM) | OPT(RECORDS) | OPT(LIMIT), 0,
	 "show what VMs used, deleted ones included", "--limit goes with --records.", usage_show},
	{"events", NULL, NULL, NULL, 0, 0, OPT(VM) | OPT(NODE) | OPT(LIMIT), 0,
	 "show what happened, the newest last", NULL, events_show},
	{"version", NULL, NULL, NULL, 0, 0, 0, 0,
	 "show the versions of billetctl and of the controller", NULL, version_show},
	{"login", NULL, NULL, NULL, 0, 0, 0, 0, "remember a controller, its CA and a token",
	 "Takes --server and --ca, and the token from --token-file, BILLET_TOKEN or standard "
	 "input; tries them; and keeps\n"
	 "them in ~/.config/billet, readable by you alone.",
	 login},
	{"completion", NULL, "bash", "bash", 1, 1, 0, 0,
	 "print a script that completes commands in a shell",
	 "  source <(billetctl completion bash)", completion},
	{0},
};
