"""Problems with a trusted answer: what every method that applies must agree on."""

from tests.zoo.equilibria import EQUILIBRIA
from tests.zoo.imaging import IMAGING
from tests.zoo.problem import Problem, Reference, Unsolvable
from tests.zoo.programs import PROGRAMS
from tests.zoo.regression import REGRESSION
from tests.zoo.unsolvable import UNSOLVABLE

PROBLEMS = (*REGRESSION, *IMAGING, *PROGRAMS, *EQUILIBRIA)

__all__ = ["PROBLEMS", "UNSOLVABLE", "Problem", "Reference", "Unsolvable"]
