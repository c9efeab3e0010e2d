/* SPDX-License-Identifier: Apache-2.0 */
/* Every path that the controller answers, by the files that do it. */
#include "tools/controller/agent_blobs.h"
#include "tools/controller/agent_enroll.h"
#include "tools/controller/agent_report.h"
#include "tools/controller/api_misc.h"
#include "tools/controller/api_nodes.h"
#include "tools/controller/api_tokens.h"
#include "tools/controller/api_usage.h"
#include "tools/controller/console.h"
#include "tools/controller/desired.h"
#include "tools/controller/image.h"
#include "tools/controller/node_update.h"
#include "tools/controller/vm.h"

const struct route *const route_tables[] = {
	agent_enroll_routes,
	desired_routes,
	agent_report_routes,
	agent_blobs_routes,
	console_routes,
	api_nodes_routes,
	node_update_routes,
	image_routes,
	vm_routes,
	api_usage_routes,
	api_tokens_routes,
	api_misc_routes,
	NULL,
};
