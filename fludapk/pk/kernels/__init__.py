"""Compiled functions, and the functions that make their arrays.

The kernels know nothing of patients, papers or units beyond h, mg, L and mg/L. They take float64
and int64 arrays in C order, trust them, never raise, draw no random numbers and give the same bits
for the same input. They release the interpreter lock, so callers may run blocks of subjects in
threads. A kernel makes no array: the public function beside it hands it those to write into.

There are four files: `arithmetic`, which two kernels share, `courses` for exposure and
concentrations, `estimates` for the search for the most likely effects, `smoothing` for sums over
simulated values.

Mathematics
-----------
With x_i = A_i / sqrt(V_i) the mammillary system is ``dx/dt = -M x + b R`` with M symmetric::

    M = | (CL+Q2+Q3)/V1   -Q2/sqrt(V1 V2)   -Q3/sqrt(V1 V3) |
        | -Q2/sqrt(V1 V2)       Q2/V2              0        |
        | -Q3/sqrt(V1 V3)         0              Q3/V3      |

so its rates are real and its eigenvectors orthonormal, equal rates included. In z = U'x one step of
h hours at infusion rate R is ``z <- z exp(-lam h) + U[0] R/sqrt(V1) (1 - exp(-lam h))/lam``.
A compartment that a model does not have is Q = 0, V = 1: its rate is zero and it stays empty.
The area under the curve of a step is (amount in - change of the amount in the body) / CL: exact but
for rounding.

An occasion is a dose and the time until the next. Amounts are continuous from one to the next,
concentrations are not when V1 changes; a sample at the instant of a dose is taken before it.
"""
