/* SPDX-License-Identifier: Apache-2.0 */
/* /agent/v1/report. */
#ifndef CONTROLLER_AGENT_REPORT_H
#define CONTROLLER_AGENT_REPORT_H

#include "tools/controller/http.h"

extern const struct route agent_report_routes[];

#endif
