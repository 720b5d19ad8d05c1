#include "machine.h"
void intel_quote(struct machine *m, const uint8_t report_data[64], struct buf *ret_quote){(void)m;(void)report_data;(void)ret_quote;}
void intel_collateral(struct machine *m, const char *dir){(void)m;(void)dir;}
void intel_facts(struct machine *m, cJSON *facts){(void)m;(void)facts;}
