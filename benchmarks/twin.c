/* The arithmetic of fludapk.kernels by hand, for models in which random effects scale all flows and
 * all volumes (langenhorst2019): what a compiled loop without Python or Numba can do.
 * Rows are subjects; parameters are CL V1 Q2 V2 Q3 V3; eta is (flows, volumes); kappa the same per
 * dose. Compiled by benchmarks/twin.py with cc -O3 -march=native. */
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
