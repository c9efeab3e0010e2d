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
	 "remove nodes and revoke their certificates", NULL, node_rm},

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

	{"vm", "create", "NAME", NULL, 1, 1,
	 OPT(KERNEL) | OPT(INITRD) | OPT(CMDLINE) | OPT(VCPUS) | OPT(MEMORY) | OPT(NODE) |
		 OPT(NETWORK) | OPT(WEIGHT) | OPT(CAP) | OPT(NO_START) | OPT(WAIT) | OPT(TIMEOUT),
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
