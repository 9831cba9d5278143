/* relais: the administrator's tool. */
#include "ctl/tool.h"

int main(int argc, char **argv)
{
    return tool_run(argc - 1, argv + 1);
}
