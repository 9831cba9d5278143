/* Arguments as cmdlets have them: "-Filter X", "-WhatIf", "-Confirm:$false".  One thread. */
#ifndef CTL_CMDLET_H
#define CTL_CMDLET_H

/* Turns them, in place, into options of ours: -Filter X is --filter X, -Identity X is X.  What is
 * not known stays, for whoever reads the options to complain about. */
void cmdlet_arguments(int *argc, char **argv);

#endif
