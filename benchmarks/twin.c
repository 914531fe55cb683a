/* The arithmetic of fludapk.pk.kernels by hand, for models in which random effects scale all flows
 * and all volumes (langenhorst2019): the speed of a compiled loop without Python or Numba.
 * Rows are subjects; parameters are CL V1 Q2 V2 Q3 V3; eta is (flows, volumes); kappa the same per
 * dose. Compiled by benchmarks/baseline.py with cc -O3 -march=native. */
#include <math.h>
#include <string.h>

enum { CL, V1, Q2, V2, Q3, V3 };

static void rotation(double a, double b, double off, double *t, double *c, double *s) {
    double d = b - a;
    if (off == 0.0) { *t = 0.0; *c = 1.0; *s = 0.0; return; }
    *t = copysign(2.0 * off, off * d) / (fabs(d) + sqrt(d * d + 4.0 * off * off));
    *c = 1.0 / sqrt(1.0 + *t * *t);
    *s = *t * *c;
}

static void decompose(const double *p, double *lam, double u[3][3]) {
    double m[3][3] = {{(p[CL] + p[Q2] + p[Q3]) / p[V1]}};
    m[1][1] = p[Q2] / p[V2];
    m[2][2] = p[Q3] / p[V3];
    m[0][1] = -p[Q2] / sqrt(p[V1] * p[V2]);
    m[0][2] = -p[Q3] / sqrt(p[V1] * p[V3]);
    double small = 1e-34 * m[0][0] * m[0][0];
    memset(u, 0, 9 * sizeof(double));
    u[0][0] = u[1][1] = u[2][2] = 1.0;
    for (int sweep = 0; sweep < 12; sweep++) {
        if (m[0][1] * m[0][1] + m[0][2] * m[0][2] + m[1][2] * m[1][2] <= small) break;
        for (int i = 0; i < 2; i++)
            for (int j = i + 1; j < 3; j++) {
                double t, c, s;
                rotation(m[i][i], m[j][j], m[i][j], &t, &c, &s);
                m[i][i] -= t * m[i][j];
                m[j][j] += t * m[i][j];
                m[i][j] = 0.0;
                int k = 3 - i - j;
                double *ik = i < k ? &m[i][k] : &m[k][i], *jk = j < k ? &m[j][k] : &m[k][j];
                double a = c * *ik - s * *jk, b = s * *ik + c * *jk;
                *ik = a;
                *jk = b;
                for (int r = 0; r < 3; r++) {
                    double x = u[r][i], y = u[r][j];
                    u[r][i] = c * x - s * y;
                    u[r][j] = s * x + c * y;
                }
            }
    }
    for (int j = 0; j < 3; j++) lam[j] = m[j][j] > 0.0 ? m[j][j] : 0.0;
}

static double infused(double z, double rate, double h, double push) {
    double x = rate * h, loss = -expm1(-x);
    return z * (1.0 - loss) + push * (x == 0.0 ? h : loss / rate);
}

/* n subjects with their own typical values; eta and kappa may be NULL. */
void exposure(long n, long doses, const double *tv, const double *eta, const double *kappa,
              const double *start, const double *duration, const double *amount, double *auc,
              double *per_dose, double *cmax, double *trough) {
    for (long i = 0; i < n; i++) {
        double p[6], lam[3], u[3][3], in[3], c[3], z[3] = {0};
        double f = eta ? exp(eta[2 * i]) : 1.0, v = eta ? exp(eta[2 * i + 1]) : 1.0;
        for (int q = 0; q < 6; q++) p[q] = tv[6 * i + q] * (q % 2 ? v : f);
        decompose(p, lam, u);
        double s1 = sqrt(p[V1]), s2 = sqrt(p[V2]), s3 = sqrt(p[V3]);
        for (int j = 0; j < 3; j++) {
            in[j] = s1 * u[0][j] + s2 * u[1][j] + s3 * u[2][j];
            c[j] = u[0][j] / s1;
        }
        double total = 0.0, peak = 0.0, conc = 0.0, before = 0.0, flow = 1.0, volume = 1.0;
        for (long k = 0; k < doses; k++) {
            trough[doses * i + k] = conc;
            if (kappa) {
                double central = conc * volume;
                flow = exp(kappa[2 * (doses * i + k)]);
                volume = exp(kappa[2 * (doses * i + k) + 1]);
                peak = fmax(peak, central / volume);
            }
            double pace = flow / volume, h = duration[k], dose = amount[doses * i + k];
            double at_end = 0.0, after = 0.0, gap = k + 1 < doses ? start[k + 1] - start[k] - h : 0;
            for (int j = 0; j < 3; j++) {
                z[j] = infused(z[j], lam[j] * pace, h, c[j] * dose / h);
                at_end += c[j] * z[j];
            }
            peak = fmax(peak, at_end / volume);
            if (k + 1 < doses) {
                conc = 0.0;
                for (int j = 0; j < 3; j++) {
                    z[j] *= exp(-lam[j] * pace * gap);
                    after += in[j] * z[j];
                    conc += c[j] * z[j];
                }
                conc /= volume;
            }
            per_dose[doses * i + k] = (dose + before - after) / (p[CL] * flow);
            total += per_dose[doses * i + k];
            before = after;
        }
        auc[i] = total;
        cmax[i] = peak;
    }
}

/* Concentrations of typical subjects at ascending times; spacing > 0 multiplies forward. */
void course(long n, long doses, long times, const double *tv, const double *start,
            const double *duration, const double *amount, const double *at, double spacing,
            double *conc) {
    for (long i = 0; i < n; i++) {
        double lam[3], u[3][3], c[3], z[3] = {0}, w[3], factor[3];
        const double *p = tv + 6 * i;
        decompose(p, lam, u);
        for (int j = 0; j < 3; j++) {
            c[j] = u[0][j] / sqrt(p[V1]);
        }
        double *out = conc + times * i;
        long t = 0;
        while (t < times && at[t] <= start[0]) out[t++] = 0.0;
        for (long k = 0; k < doses && t < times; k++) {
            double h = duration[k], rate = amount[doses * i + k] / h, end = start[k] + h;
            double next = k + 1 < doses ? start[k + 1] : INFINITY;
            for (; t < times && at[t] <= end; t++) {
                out[t] = 0.0;
                for (int j = 0; j < 3; j++)
                    out[t] += c[j] * infused(z[j], lam[j], at[t] - start[k], c[j] * rate);
            }
            for (int j = 0; j < 3; j++) z[j] = infused(z[j], lam[j], h, c[j] * rate);
            if (spacing > 0.0 && t < times && at[t] <= next)
                for (int j = 0; j < 3; j++) {
                    w[j] = c[j] * z[j] * exp(-lam[j] * (at[t] - end));
                    factor[j] = exp(-lam[j] * spacing);
                }
            for (; spacing > 0.0 && t < times && at[t] <= next; t++) {
                out[t] = w[0] + w[1] + w[2];
                for (int j = 0; j < 3; j++) w[j] *= factor[j];
            }
            for (; t < times && at[t] <= next; t++) {
                out[t] = 0.0;
                for (int j = 0; j < 3; j++) out[t] += c[j] * z[j] * exp(-lam[j] * (at[t] - end));
            }
            if (k + 1 < doses)
                for (int j = 0; j < 3; j++) z[j] *= exp(-lam[j] * (next - end));
        }
    }
}

/* -2 log posterior of two standard normals (flows, volumes), its gradient and its expected second
 * derivatives, for one infusion and levels after it; y has m levels at hours t. */
static double objective(const double *x, const double *sd, const double *lam, const double *part,
                        double length, double rate, long m, const double *t, const double *y,
                        double error, double *gradient, double h[3]) {
    double flow = exp(sd[0] * x[0]), volume = exp(sd[1] * x[1]), pace = flow / volume;
    double value = x[0] * x[0] + x[1] * x[1], l[3], gain[3], slope[3];
    gradient[0] = 2.0 * x[0];
    gradient[1] = 2.0 * x[1];
    h[0] = h[2] = 2.0;
    h[1] = 0.0;
    for (int j = 0; j < 3; j++) {
        l[j] = lam[j] * pace;
        double loss = -expm1(-l[j] * length), push = part[j] * rate / volume;
        gain[j] = push * loss / l[j];
        slope[j] = push * length * (1.0 - loss) - gain[j]; /* by log of the rate */
    }
    for (long k = 0; k < m; k++) {
        double f = 0.0, by_pace = 0.0, since = t[k] - length;
        for (int j = 0; j < 3; j++) {
            double left = exp(-l[j] * since);
            f += gain[j] * left;
            by_pace += (slope[j] - gain[j] * l[j] * since) * left;
        }
        double df[2] = {sd[0] * by_pace, -sd[1] * (f + by_pace)};
        double v = error * error * f * f, r = y[k] - f, dv = 2.0 * error * error * f;
        value += log(v) + r * r / v;
        double first = dv / v - 2.0 * r / v - r * r * dv / (v * v);
        double second = 2.0 / v + dv * dv / (v * v);
        gradient[0] += first * df[0];
        gradient[1] += first * df[1];
        h[0] += second * df[0] * df[0];
        h[1] += second * df[0] * df[1];
        h[2] += second * df[1] * df[1];
    }
    return value;
}

/* Fisher scoring with Levenberg's damping from zero, the last steps with second derivatives by
 * differences of the gradient, as the kernel map_estimates does; one start only. */
void map_estimates(long n, long m, const double *tv, const double *sd, double length, double dose,
                   const double *t, const double *y, double error, double *x, double *minimum) {
    for (long i = 0; i < n; i++) {
        double lam[3], u[3][3], part[3], g[2], h[3], trial[2], new_g[2], new_h[3];
        double *at = x + 2 * i, damping = 0.0;
        decompose(tv, lam, u);
        for (int j = 0; j < 3; j++) part[j] = u[0][j] * u[0][j] / tv[V1];
        at[0] = at[1] = 0.0;
        const double *levels = y + m * i;
        double rate = dose / length;
        double value = objective(at, sd, lam, part, length, rate, m, t, levels, error, g, h);
        int exact = 0, moved = 1;
        for (int step = 0; step < 200; step++) {
            if (exact && moved) {
                double d[2][2];
                for (int j = 0; j < 2; j++) {
                    double by = 1e-5 * sqrt(2.0 / fmax(2.0, h[2 * j]));
                    trial[0] = at[0];
                    trial[1] = at[1];
                    trial[j] += by;
                    objective(trial, sd, lam, part, length, rate, m, t, levels, error, new_g, new_h);
                    for (int r = 0; r < 2; r++) d[j][r] = (new_g[r] - g[r]) / by;
                }
                h[0] = d[0][0];
                h[1] = 0.5 * (d[0][1] + d[1][0]);
                h[2] = d[1][1];
                moved = 0;
            }
            double a = h[0] + damping, c = h[2] + damping, det = a * c - h[1] * h[1];
            while (!(det > 0.0 && a > 0.0)) {
                damping = fmax(4.0 * damping, 1e-3 * fmax(fabs(h[0]), fabs(h[2])));
                a = h[0] + damping;
                c = h[2] + damping;
                det = a * c - h[1] * h[1];
            }
            double s0 = -(c * g[0] - h[1] * g[1]) / det, s1 = -(a * g[1] - h[1] * g[0]) / det;
            double slope = g[0] * s0 + g[1] * s1, size = sqrt(s0 * s0 + s1 * s1);
            int near = damping == 0.0 && -slope < 1e-8;
            if (near && !exact) {
                exact = 1;
                continue;
            }
            double shrink = size > 4.0 ? 4.0 / size : 1.0;
            s0 *= shrink;
            s1 *= shrink;
            trial[0] = at[0] + s0;
            trial[1] = at[1] + s1;
            double now =
                objective(trial, sd, lam, part, length, rate, m, t, levels, error, new_g, new_h);
            if (now < value || near) {
                double half = 0.5 * (h[0] * s0 * s0 + 2.0 * h[1] * s0 * s1 + h[2] * s1 * s1);
                damping *= value - now > 0.25 * (-shrink * slope - half) ? 0.1 : 2.0;
                if (damping < 0.1) damping = 0.0;
                if (now <= value) {
                    value = now;
                    at[0] = trial[0];
                    at[1] = trial[1];
                }
                if (near) break;
                moved = 1;
                memcpy(g, new_g, sizeof g);
                memcpy(h, new_h, sizeof h);
            } else
                damping = fmax(10.0 * damping, 0.01 * fmax(fabs(h[0]), fabs(h[2])));
        }
        minimum[i] = value;
    }
}
