"""Loops over grids for the total variation: steps and duality gaps, one pass over memory each."""

from __future__ import annotations

import numpy as np

from monops.functions.compiled import compiled

# Past the last row or plane the neighbour is the row itself: the difference is 0, and no inner loop has a branch.


@compiled
def plane_steps(x, p, bar, u0, u1, lam, s0, s1, tau, sigma, gamma, count, one, anisotropic):  # type: ignore[no-untyped-def]
    """``count`` iterations on an image, in place; row by row dual step, primal step, extrapolation. Returns tau, sigma."""
    m, n = x.shape
    for _ in range(count):
        theta = one / np.sqrt(one + (gamma + gamma) * tau)
        shrink = one / (one + tau)
        sigma0, sigma1, tau0, tau1 = sigma * s0, sigma * s1, tau * s0, tau * s1
        for i in range(m):
            here, a, b, pi, xi = bar[i], u0[i], u1[i], p[i], x[i]
            below = bar[min(i + 1, m - 1)]
            above = u0[i - 1] if i > 0 else u0[m - 1]  # the last row of u0 is 0
            if anisotropic:
                for k in range(n - 1):
                    a[k] = min(max(a[k] + sigma0 * (below[k] - here[k]), -lam), lam)
                    b[k] = min(max(b[k] + sigma1 * (here[k + 1] - here[k]), -lam), lam)
            else:
                for k in range(n - 1):
                    v = a[k] + sigma0 * (below[k] - here[k])
                    w = b[k] + sigma1 * (here[k + 1] - here[k])
                    r = lam / max(lam, np.sqrt(v * v + w * w))
                    a[k] = v * r
                    b[k] = w * r
            a[n - 1] = min(max(a[n - 1] + sigma0 * (below[n - 1] - here[n - 1]), -lam), lam)
            new = (pi[0] + tau * xi[0] + tau0 * (a[0] - above[0]) + tau1 * b[0]) * shrink
            here[0] = new + theta * (new - pi[0])
            pi[0] = new
            for k in range(1, n):
                new = (pi[k] + tau * xi[k] + tau0 * (a[k] - above[k]) + tau1 * (b[k] - b[k - 1])) * shrink
                here[k] = new + theta * (new - pi[k])
                pi[k] = new
        tau, sigma = tau * theta, sigma / theta
    return tau, sigma


@compiled
def volume_steps(x, p, bar, u0, u1, u2, lam, s0, s1, s2, tau, sigma, gamma, count, one, anisotropic):  # type: ignore[no-untyped-def]
    """``count`` iterations on a volume, in place, as ``plane_steps``."""
    planes, m, n = x.shape
    for _ in range(count):
        theta = one / np.sqrt(one + (gamma + gamma) * tau)
        shrink = one / (one + tau)
        sigma0, sigma1, sigma2 = sigma * s0, sigma * s1, sigma * s2
        tau0, tau1, tau2 = tau * s0, tau * s1, tau * s2
        for g in range(planes):
            for i in range(m):
                here, a, b, c, pi, xi = bar[g, i], u0[g, i], u1[g, i], u2[g, i], p[g, i], x[g, i]
                behind, below = bar[min(g + 1, planes - 1), i], bar[g, min(i + 1, m - 1)]
                before = u0[g - 1, i] if g > 0 else u0[planes - 1, i]  # the last plane of u0 is 0
                above = u1[g, i - 1] if i > 0 else u1[g, m - 1]
                if anisotropic:
                    for k in range(n):
                        a[k] = min(max(a[k] + sigma0 * (behind[k] - here[k]), -lam), lam)
                        b[k] = min(max(b[k] + sigma1 * (below[k] - here[k]), -lam), lam)
                    for k in range(n - 1):
                        c[k] = min(max(c[k] + sigma2 * (here[k + 1] - here[k]), -lam), lam)
                else:
                    for k in range(n - 1):
                        v = a[k] + sigma0 * (behind[k] - here[k])
                        w = b[k] + sigma1 * (below[k] - here[k])
                        z = c[k] + sigma2 * (here[k + 1] - here[k])
                        r = lam / max(lam, np.sqrt(v * v + w * w + z * z))
                        a[k] = v * r
                        b[k] = w * r
                        c[k] = z * r
                    v = a[n - 1] + sigma0 * (behind[n - 1] - here[n - 1])
                    w = b[n - 1] + sigma1 * (below[n - 1] - here[n - 1])
                    r = lam / max(lam, np.sqrt(v * v + w * w))
                    a[n - 1] = v * r
                    b[n - 1] = w * r
                force = tau0 * (a[0] - before[0]) + tau1 * (b[0] - above[0]) + tau2 * c[0]
                new = (pi[0] + tau * xi[0] + force) * shrink
                here[0] = new + theta * (new - pi[0])
                pi[0] = new
                for k in range(1, n):
                    force = tau0 * (a[k] - before[k]) + tau1 * (b[k] - above[k]) + tau2 * (c[k] - c[k - 1])
                    new = (pi[k] + tau * xi[k] + force) * shrink
                    here[k] = new + theta * (new - pi[k])
                    pi[k] = new
        tau, sigma = tau * theta, sigma / theta
    return tau, sigma


@compiled
def grid_gaps(x, p, u0, u1, u2, lam, s0, s1, s2, through, anisotropic):  # type: ignore[no-untyped-def]
    """Duality gaps, summed in double precision, of the points p, x - D'u (written to ``through``) and 0."""
    planes, m, n = x.shape
    first, second, third = 0.0, 0.0, 0.0
    for g in range(planes):
        for i in range(m):
            a, b, c, q = u0[g, i], u1[g, i], u2[g, i], through[g, i]
            before = u0[g - 1, i] if g > 0 else u0[planes - 1, i]
            above = u1[g, i - 1] if i > 0 else u1[g, m - 1]
            for k in range(n):
                left = c[k - 1] if k > 0 else c[n - 1]
                q[k] = x[g, i, k] + s0 * (a[k] - before[k]) + s1 * (b[k] - above[k]) + s2 * (c[k] - left)
                rest = float(p[g, i, k]) - float(q[k])
                first += 0.5 * rest * rest
                third += 0.5 * float(q[k]) * float(q[k])
    for g in range(planes):
        for i in range(m):
            a, b, c = u0[g, i], u1[g, i], u2[g, i]
            for which in range(2):
                z = p if which == 0 else through
                here, behind, below = z[g, i], z[min(g + 1, planes - 1), i], z[g, min(i + 1, m - 1)]
                total = 0.0
                for k in range(n):
                    d0 = s0 * (float(behind[k]) - float(here[k]))
                    d1 = s1 * (float(below[k]) - float(here[k]))
                    d2 = s2 * (float(here[min(k + 1, n - 1)]) - float(here[k]))
                    size = abs(d0) + abs(d1) + abs(d2) if anisotropic else np.sqrt(d0 * d0 + d1 * d1 + d2 * d2)
                    total += lam * size - d0 * a[k] - d1 * b[k] - d2 * c[k]
                if which == 0:
                    first += total
                else:
                    second += total
    return first, second, third
