"""How much evidence a decision requires: each number once."""

ENOUGH, FEWEST = 30, 10  # examples of a class: below the first nothing passes, below the second nothing fails
SIGNIFICANT = 0.005  # p below which an effect is more than chance, after correction for the tests made beside it
SURE_LEVEL = 0.99  # two-sided level of the intervals that decide: one end is passed by chance with p 0.005
Z_SURE = 2.576  # standard errors that chance passes on one side with p 0.005
