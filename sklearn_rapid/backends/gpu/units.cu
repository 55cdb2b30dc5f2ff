// Kernels of the CuPy backend for real units and groups of categories.
//
// They are compiled after `spins.cu`, use its functions and follow its rules.

// Field + N(0, 1), in place: two neighbouring calls give four pairs of numbers.
extern "C" __global__ void sample_gaussians(
    float *field, size n_rows, size width,
    word key0, word key1, word draw0, word draw1, word first_row)
{
    FOR_EACH_ROW(i, n_rows) {
        FOR_EACH_COLUMN(pair, calls_of(width) / 2) {
            const word c = 2 * (word)pair, row = first_row + (word)i;
            const Words radii = philox(c, row, draw0, draw1, key0, key1);
            const Words angles = philox(c + 1, row, draw0, draw1, key0, key1);
            for (int w = 0; w < 4; ++w) {
                const size j = column_of(c, w);
                if (j >= width) continue;
                const float radius = sqrtf(-2.0f * logf(uniform(radii.of[w])));
                float sine, cosine;
                sincospif(2.0f * uniform(angles.of[w]), &sine, &cosine);
                field[i * width + j] += radius * cosine;
                if (j + 1 < width) field[i * width + j + 1] += radius * sine;
            }
        }
    }
}

// A group of n columns of a row: its largest field, and weights exp(field - largest) with their
// total.
struct Group {
    const float *field;
    size n;
    float largest;
    double total;
    __device__ float weight(size k) const { return exp_minus_2(0.5f * (largest - field[k])); }
};

// Group g of a row: its columns are starts[g] to starts[g + 1].
__device__ __forceinline__ Group group_of(const float *row, const size *starts, size g)
{
    Group group = {row + starts[g], starts[g + 1] - starts[g], row[starts[g]], 0.0};
    for (size k = 1; k < group.n; ++k) group.largest = fmaxf(group.largest, group.field[k]);
    for (size k = 0; k < group.n; ++k) group.total += (double)group.weight(k);
    return group;
}

extern "C" __global__ void softmax(
    float *field, const size *starts, size n_rows, size width, size n_groups)
{
    FOR_EACH_ROW(i, n_rows) {
        FOR_EACH_COLUMN(g, n_groups) {
            const Group group = group_of(field + i * width, starts, g);
            float *means = field + i * width + starts[g];
            for (size k = 0; k < group.n; ++k) means[k] = group.weight(k) / (float)group.total;
        }
    }
}

// Lanes that add up to the sum of the logsumexp of each group.
extern "C" __global__ void sum_log_sum_exp(
    const float *field, const size *starts, double *sums,
    size n_rows, size width, size n_groups, size n_lanes)
{
    FOR_EACH_ROW(i, n_rows) {
        FOR_EACH_COLUMN(lane, n_lanes) {
            double sum = 0.0;
            for (size g = lane; g < n_groups; g += n_lanes) {
                const Group group = group_of(field + i * width, starts, g);
                sum += (double)(group.largest + logf((float)group.total));
            }
            sums[i * n_lanes + lane] = sum;
        }
    }
}

// One column of each group, in place: the first where the running sum reaches u times the total.
extern "C" __global__ void sample_categories(
    float *field, const size *starts, size n_rows, size width, size n_groups,
    word key0, word key1, word draw0, word draw1, word first_row)
{
    FOR_EACH_ROW(i, n_rows) {
        FOR_EACH_COLUMN(c, calls_of(n_groups)) {
            const Words words = philox((word)c, first_row + (word)i, draw0, draw1, key0, key1);
            for (int w = 0; w < 4; ++w) {
                const size g = column_of(c, w);
                if (g >= n_groups) continue;
                const Group group = group_of(field + i * width, starts, g);
                const double threshold = (double)uniform(words.of[w]) * group.total;
                float *drawn = field + i * width + starts[g];
                double passed = 0.0;
                for (size k = 0; k < group.n; ++k) {
                    const double summed = passed + (double)group.weight(k);
                    drawn[k] = passed < threshold && threshold <= summed ? 1.0f : 0.0f;
                    passed = summed;
                }
            }
        }
    }
}
