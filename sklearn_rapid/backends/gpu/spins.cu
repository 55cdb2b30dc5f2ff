// Kernels of the CuPy backend, in float32 with sums in float64.
//
// A kernel computes the same as the method of `reference/arrays.py` with its name. No thread waits
// for another or writes what another reads, and a kernel is right for any grid. Where rows are
// summed, each of several lanes writes the sum of its columns, and the caller adds them up: the
// order of additions is fixed, and so is the result.
//
// Compiled without fused multiply-adds (--fmad=false): spins agree with those of other backends to
// the bit for equal fields.

typedef unsigned int word;
typedef long long size;

// Names of grid-stride loops: threads are laid out in rows (y) and columns (x).
#define FOR_EACH_ROW(i, n)                                                     \
    for (size i = (size)blockIdx.y * blockDim.y + threadIdx.y; i < (n);        \
         i += (size)gridDim.y * blockDim.y)
#define FOR_EACH_COLUMN(j, n)                                                  \
    for (size j = (size)blockIdx.x * blockDim.x + threadIdx.x; j < (n);        \
         j += (size)gridDim.x * blockDim.x)

// --- random numbers ---------------------------------------------------------------------------

// Columns that a group of calls fills: sixteen calls give four words each, in runs of sixteen.
#define LANES 16
#define GROUP 64

struct Words {
    word of[4];
};

// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011).
__device__ __forceinline__ Words philox(word c0, word c1, word c2, word c3, word k0, word k1)
{
    for (int round = 0; round < 10; ++round) {
        const word high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        const word high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    Words words = {{c0, c1, c2, c3}};
    return words;
}

// Uniform in (0, 1], fine-grained near zero.
__device__ __forceinline__ float uniform(word w)
{
    return ((float)w + 0.5f) * 2.3283064365386963e-10f;
}

// The number of Philox calls for a row, and the column of word w of call c.
__device__ __forceinline__ size calls_of(size width) { return (width + GROUP - 1) / GROUP * LANES; }

__device__ __forceinline__ size column_of(size c, int w)
{
    return c / LANES * GROUP + w * LANES + c % LANES;
}

extern "C" __global__ void random_uniform(
    float *out, size n_rows, size width,
    word key0, word key1, word draw0, word draw1, word first_row)
{
    FOR_EACH_ROW(i, n_rows) {
        FOR_EACH_COLUMN(c, calls_of(width)) {
            const Words words = philox((word)c, first_row + (word)i, draw0, draw1, key0, key1);
            for (int w = 0; w < 4; ++w) {
                const size j = column_of(c, w);
                if (j < width) out[i * width + j] = uniform(words.of[w]);
            }
        }
    }
}

// --- on fields --------------------------------------------------------------------------------

// exp(-2a) of a >= 0, by operations that every backend rounds alike.
__device__ __forceinline__ float exp_minus_2(float a)
{
    const float t = fmaxf(-2.0f * a, -80.0f);
    const float n = rintf(t * 1.4426950408889634f);
    const float r = (t - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return p * __int_as_float(((int)n + 127) << 23);
}

__device__ __forceinline__ float log_2cosh(float x)
{
    const float a = fabsf(x);
    return a + log1pf(exp_minus_2(a));
}

// The spin in field x for the uniform number u, given e = exp(-2|x|): against the field with
// probability e / (1 + e).
__device__ __forceinline__ float spin(float x, float e, float u)
{
    const float along = x >= 0.0f ? 1.0f : -1.0f;
    return u * (1.0f + e) < e ? -along : along;
}

// Fields are scale * product + bias, in all that follows.

extern "C" __global__ void sample_spins(
    const float *product, float scale, const float *bias, float *spins, size n_rows, size width,
    word key0, word key1, word draw0, word draw1, word first_row)
{
    FOR_EACH_ROW(i, n_rows) {
        FOR_EACH_COLUMN(c, calls_of(width)) {
            const Words words = philox((word)c, first_row + (word)i, draw0, draw1, key0, key1);
            for (int w = 0; w < 4; ++w) {
                const size j = column_of(c, w);
                if (j >= width) continue;
                const float x = scale * product[i * width + j] + bias[j];
                spins[i * width + j] = spin(x, exp_minus_2(fabsf(x)), uniform(words.of[w]));
            }
        }
    }
}

// tanh(field), or the probability of +1 if to_unit.
extern "C" __global__ void means(
    const float *product, float scale, const float *bias, size to_unit,
    float *out, size n_rows, size width)
{
    FOR_EACH_ROW(i, n_rows) {
        FOR_EACH_COLUMN(j, width) {
            const float x = scale * product[i * width + j] + bias[j];
            const float e = exp_minus_2(fabsf(x));
            const float t = (1.0f - e) / (1.0f + e);
            const float mean = x >= 0.0f ? t : 0.0f - t;
            out[i * width + j] = to_unit ? (x >= 0.0f ? 1.0f : e) / (1.0f + e) : mean;
        }
    }
}

extern "C" __global__ void sum_log_2cosh(
    const float *product, float scale, const float *bias, double *sums,
    size n_rows, size width, size n_lanes)
{
    FOR_EACH_ROW(i, n_rows) {
        FOR_EACH_COLUMN(lane, n_lanes) {
            double sum = 0.0;
            for (size j = lane; j < width; j += n_lanes)
                sum += (double)log_2cosh(scale * product[i * width + j] + bias[j]);
            sums[i * n_lanes + lane] = sum;
        }
    }
}

// Spins of each row at its own inverse temperature, in the field base + beta * field.
extern "C" __global__ void tempered_spins(
    const float *product, float scale, const float *bias, const float *base, const float *betas,
    float *spins, size n_rows, size width,
    word key0, word key1, word draw0, word draw1, word first_row)
{
    FOR_EACH_ROW(i, n_rows) {
        FOR_EACH_COLUMN(c, calls_of(width)) {
            const Words words = philox((word)c, first_row + (word)i, draw0, draw1, key0, key1);
            for (int w = 0; w < 4; ++w) {
                const size j = column_of(c, w);
                if (j >= width) continue;
                const float x = base[j] + betas[i] * (scale * product[i * width + j] + bias[j]);
                spins[i * width + j] = spin(x, exp_minus_2(fabsf(x)), uniform(words.of[w]));
            }
        }
    }
}

// Lanes that add up to the sum of log cosh(to_i field) - log cosh(from_i field) of each row.
extern "C" __global__ void sum_log_cosh_ratio(
    const float *product, float scale, const float *bias, const float *to, const float *from,
    double *sums, size n_rows, size width, size n_lanes)
{
    FOR_EACH_ROW(i, n_rows) {
        FOR_EACH_COLUMN(lane, n_lanes) {
            double sum = 0.0;
            for (size j = lane; j < width && to[i] != from[i]; j += n_lanes) {
                const float a = fabsf(scale * product[i * width + j] + bias[j]);
                sum += (double)((to[i] - from[i]) * a);
                sum += (double)(log1pf(exp_minus_2(to[i] * a)) - log1pf(exp_minus_2(from[i] * a)));
            }
            sums[i * n_lanes + lane] = sum;
        }
    }
}

// Pairs of neighbours in groups of n_rungs rows, the first one at rung parity, parity + 2, ...
// The uniform number of row i decides whether it exchanges with the next one.
#define FOR_EACH_PAIR(i, n_rows)                                               \
    FOR_EACH_ROW(i, n_rows)                                                    \
        if (i % n_rungs >= parity && (i % n_rungs - parity) % 2 == 0 && i % n_rungs + 1 < n_rungs)

__device__ __forceinline__ bool exchanges(
    const double *gains, size i, word key0, word key1, word draw0, word draw1, word first_row)
{
    const Words words = philox(0u, first_row + (word)i, draw0, draw1, key0, key1);
    return log((double)uniform(words.of[0])) <= gains[i] + gains[i + 1];
}

extern "C" __global__ void exchange_rows(
    float *field, const double *gains, size n_rows, size width, size n_rungs, size parity,
    word key0, word key1, word draw0, word draw1, word first_row)
{
    FOR_EACH_PAIR(i, n_rows) {
        if (!exchanges(gains, i, key0, key1, draw0, draw1, first_row)) continue;
        FOR_EACH_COLUMN(j, width) {
            const float kept = field[i * width + j];
            field[i * width + j] = field[(i + 1) * width + j];
            field[(i + 1) * width + j] = kept;
        }
    }
}

// Origins of replicas after the same exchanges, and arrivals at the rung top from the base.
// One thread for each column of the ladder.
extern "C" __global__ void follow_origins(
    signed char *origin, long long *arrivals, const double *gains, size n_groups, size n_rungs,
    size parity, size top, size has_base,
    word key0, word key1, word draw0, word draw1, word first_row)
{
    FOR_EACH_COLUMN(g, n_groups) {
        for (size i = g * n_rungs + parity; i + 1 < (g + 1) * n_rungs; i += 2) {
            if (!exchanges(gains, i, key0, key1, draw0, draw1, first_row)) continue;
            const signed char kept = origin[i];
            origin[i] = origin[i + 1];
            origin[i + 1] = kept;
        }
        if (!has_base) continue;
        origin[g * n_rungs] = 1;
        arrivals[g] += origin[g * n_rungs + top] == 1;
        origin[g * n_rungs + top] = -1;
    }
}

// out_ab = sum over j of log 2cosh(rows_aj + columns_jb), with fields in double precision.
extern "C" __global__ void sum_log_2cosh_of_sums(
    const double *rows, const double *columns, double *out,
    size n_rows, size n_columns, size width)
{
    FOR_EACH_ROW(a, n_rows) {
        FOR_EACH_COLUMN(b, n_columns) {
            double sum = 0.0;
            for (size j = 0; j < width; ++j) {
                const double field = fabs(rows[a * width + j] + columns[j * n_columns + b]);
                sum += field + (double)log1pf(exp_minus_2((float)field));
            }
            out[a * n_columns + b] = sum;
        }
    }
}

// out_ab = sum over j of log 2cosh(rows_aj + factors_ab * columns_jb).
extern "C" __global__ void flipped_log_2cosh(
    const float *rows, const float *columns, const float *factors, double *out,
    size n_rows, size n_columns, size width)
{
    FOR_EACH_ROW(a, n_rows) {
        FOR_EACH_COLUMN(b, n_columns) {
            const float factor = factors[a * n_columns + b];
            double sum = 0.0;
            for (size j = 0; j < width; ++j)
                sum += (double)log_2cosh(rows[a * width + j] + factor * columns[j * n_columns + b]);
            out[a * n_columns + b] = sum;
        }
    }
}

// --- sums and updates -------------------------------------------------------------------------

// Lanes that add up to sum over j of a_ij b_ij. Rows of b are b_stride elements apart: 0 for a
// single row.
extern "C" __global__ void row_dots(
    const float *a, const float *b, double *sums,
    size n_rows, size width, size b_stride, size n_lanes)
{
    FOR_EACH_ROW(i, n_rows) {
        FOR_EACH_COLUMN(lane, n_lanes) {
            double sum = 0.0;
            for (size j = lane; j < width; j += n_lanes)
                sum += (double)a[i * width + j] * (double)b[i * b_stride + j];
            sums[i * n_lanes + lane] = sum;
        }
    }
}

// Slices of rows that add up to sum over i of weights_i x_ij.
extern "C" __global__ void column_sums(
    const float *x, const float *weights, double *sums, size n_rows, size width, size n_slices)
{
    FOR_EACH_ROW(slice, n_slices) {
        FOR_EACH_COLUMN(j, width) {
            double sum = 0.0;
            for (size i = slice; i < n_rows; i += n_slices)
                sum += (double)weights[i] * (double)x[i * width + j];
            sums[slice * width + j] = sum;
        }
    }
}

extern "C" __global__ void weighted_rows(
    const float *x, const float *offset, const float *weights, float *out,
    size n_rows, size width)
{
    FOR_EACH_ROW(i, n_rows) {
        FOR_EACH_COLUMN(j, width) {
            out[i * width + j] = weights[i] * (x[i * width + j] - offset[j]);
        }
    }
}

extern "C" __global__ void add_scaled(float *p, const float *step, const double *scale, size n)
{
    const float s = (float)*scale;
    FOR_EACH_COLUMN(i, n) p[i] += s * step[i];
}
