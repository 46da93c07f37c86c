"""The toy detector, trained further from recipe toy: for tests and documentation of stages.

Expects: nothing.
Cost:    seconds.
Run:     unheard train toy_further --data MANIFEST --out runs/toy_further
"""

from dataclasses import replace

from unheard.recipes import toy

recipe = replace(toy.recipe, name="toy_further", init_from=(("", toy.recipe),))
