/* Resizing of 8-bit images with vector instructions, to the byte as Pillow does it.
 *
 * Pillow's result is defined by three roundings, and these are the same here: weights are rounded
 * to 22 bits after the point, each row is resized across and rounded to 8 bits, and the rows are
 * then resized down and rounded again. Sums of products are exact in 32 bits, so their order is
 * free, and vectors can do 8 at a time.
 *
 * Across, the pixels that are summed lie side by side, where vectors would have to be summed up
 * in themselves. So some rows are transposed first: a column of them is then a row of 32 bytes,
 * and resizing across is resizing down. One function, `weighted_sum`, does both.
 *
 * It calls nothing, so that one file serves every libc and the package's bytes depend on the
 * compiler alone. All memory is the caller's.
 */

#ifdef __x86_64__
/* The rest is for AVX2, which darkroom_resize finds out whether the processor has. */
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#endif

typedef unsigned char Byte;
typedef unsigned long Size;
typedef Byte Bytes8 __attribute__((vector_size(8), aligned(1)));
typedef Byte Bytes16 __attribute__((vector_size(16), aligned(1)));
typedef unsigned Pixels4 __attribute__((vector_size(16), aligned(1)));
typedef int Sums8 __attribute__((vector_size(32)));

/* Compiled once for each depth, so that tiles of pixels are kept in registers. */
#define SPECIAL static inline __attribute__((always_inline))

enum { PRECISION = 22, COLUMN = 32, ALIGNMENT = 64 };
enum Filter { LANCZOS = 1, BILINEAR = 2, BICUBIC = 3, BOX = 4, HAMMING = 5 }; /* as Pillow's */

/* What is summed for each output pixel along one axis. */
typedef struct {
    long most;    /* weights for an output pixel, at most */
    int *first;   /* for each output pixel: the first input pixel, */
    int *count;   /* how many, */
    int *weights; /* and their weights, `most` apart */
} Axis;

static const double PI = 3.14159265358979323846;

/* The sine of x, within 1e-15 for |x| <= pi: weights are rounded to 2e-7. */
static double sine(double x)
{
    /* Of Taylor's series, which is short enough up to a quarter of a turn. */
    static const double inverse_factorials[] = {
        -1 / 51090942171709440000., 1 / 121645100408832000., -1 / 355687428096000.,
        1 / 1307674368000., -1 / 6227020800., 1 / 39916800., -1 / 362880., 1 / 5040.,
        -1 / 120., 1 / 6.};
    if (x > PI / 2)
        x = PI - x;
    else if (x < -PI / 2)
        x = -PI - x;
    double square = x * x, sum = 0;
    for (int i = 0; i < 10; i++)
        sum = (sum + inverse_factorials[i]) * square;
    return x - sum * x;
}

static double support_of(enum Filter filter)
{
    return filter == LANCZOS ? 3 : filter == BICUBIC ? 2 : filter == BOX ? 0.5 : 1;
}

/* The filters as Pillow's documentation names them; bicubic is Keys' with a = -0.5. */
static double filtered(enum Filter filter, double x)
{
    double distance = x < 0 ? -x : x;
    switch (filter) {
    case BOX:
        return x > -0.5 && x <= 0.5;
    case BILINEAR:
        return distance < 1 ? 1 - distance : 0;
    case HAMMING:
        if (distance >= 1)
            return 0;
        return x == 0 ? 1 : sine(x * PI) / (x * PI) * (0.54f + 0.46f * sine(PI / 2 - distance * PI));
    case BICUBIC:
        if (distance < 1)
            return (1.5 * distance - 2.5) * distance * distance + 1;
        return distance < 2 ? -0.5 * (((distance - 5) * distance + 8) * distance - 4) : 0;
    case LANCZOS:
        if (x < -3 || x >= 3)
            return 0;
        double third = sine(x * PI / 3), whole = (3 - 4 * third * third) * third;
        return x == 0 ? 1 : 3 * whole * third / (x * x * PI * PI);
    }
    return 0;
}

/* Hand out a part of the scratch memory; where there is none yet, only count its bytes. */
static void *take(Byte *scratch, Size *used, Size bytes)
{
    Size start = (*used + ALIGNMENT - 1) & -(Size)ALIGNMENT;
    *used = start + bytes;
    return scratch + start;
}

static Axis planned(
    Byte *scratch, Size *used, enum Filter filter, int size, float from, float to, int wanted)
{
    double scale = (double)(to - from) / wanted; /* as in Pillow, a difference of floats */
    double stretch = scale < 1 ? 1 : scale, reach = support_of(filter) * stretch;
    Axis axis = {.most = 2 * ((long)reach + (reach > (long)reach)) + 1};
    axis.first = take(scratch, used, wanted * sizeof(int));
    axis.count = take(scratch, used, wanted * sizeof(int));
    axis.weights = take(scratch, used, wanted * axis.most * sizeof(int));
    double *exact = take(scratch, used, axis.most * sizeof(double));
    if (!scratch)
        return axis;
    for (int at = 0; at < wanted; at++) {
        double center = from + (at + 0.5) * scale, sum = 0;
        int first = (int)(center - reach + 0.5), end = (int)(center + reach + 0.5);
        first = first < 0 ? 0 : first;
        end = end > size ? size : end;
        for (int i = first; i < end; i++)
            sum += exact[i - first] = filtered(filter, (i - center + 0.5) * (1 / stretch));
        for (int i = 0; i < end - first; i++) {
            double weight = (sum == 0 ? exact[i] : exact[i] / sum) * (1 << PRECISION);
            axis.weights[at * axis.most + i] = (int)(weight + (weight < 0 ? -0.5 : 0.5));
        }
        axis.first[at] = first;
        axis.count[at] = end - first;
    }
    return axis;
}

/* Round 8 sums to bytes. */
SPECIAL Bytes8 rounded(Sums8 sums)
{
    sums = __builtin_elementwise_max(sums >> PRECISION, (Sums8){});
    return __builtin_convertvector(__builtin_elementwise_min(sums, (Sums8){} + 255), Bytes8);
}

/* Write to `sum` so many bytes of the weighted sum of rows, which are read in steps of 32. */
SPECIAL void weighted_sum(
    Byte *const *rows, const int *weights, int count, Byte *sum, Size bytes)
{
    for (Size start = 0; start < bytes; start += COLUMN) {
        Sums8 sums[4];
        for (int part = 0; part < 4; part++)
            sums[part] = (Sums8){} + (1 << (PRECISION - 1));
        for (int i = 0; i < count; i++)
            for (int part = 0; part < 4; part++) {
                Bytes8 values = *(Bytes8 *)(rows[i] + start + 8 * part);
                sums[part] += __builtin_convertvector(values, Sums8) * weights[i];
            }
        Byte last[COLUMN], *target = start + COLUMN <= bytes ? sum + start : last;
        for (int part = 0; part < 4; part++)
            *(Bytes8 *)(target + 8 * part) = rounded(sums[part]);
        if (target == last)
            for (Size i = start; i < bytes; i++)
                sum[i] = last[i - start];
    }
}

#define INTERLEAVED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)

/* Transpose 16 times 16 bytes: after four perfect shuffles, rows are columns. */
SPECIAL void transpose_bytes(Bytes16 *rows)
{
    for (int step = 0; step < 4; step++) {
        Bytes16 next[16];
        for (int i = 0; i < 8; i++) {
            next[2 * i] = INTERLEAVED(
                rows[i], rows[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            next[2 * i + 1] = INTERLEAVED(
                rows[i], rows[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        for (int i = 0; i < 16; i++)
            rows[i] = next[i];
    }
}

/* Transpose 4 times 4 pixels of 4 bytes, in two. */
SPECIAL void transpose_pixels(Bytes16 *rows)
{
    for (int step = 0; step < 2; step++) {
        Pixels4 next[4];
        for (int i = 0; i < 2; i++) {
            Pixels4 above = (Pixels4)rows[i], below = (Pixels4)rows[i + 2];
            next[2 * i] = INTERLEAVED(above, below, 0, 4, 1, 5);
            next[2 * i + 1] = INTERLEAVED(above, below, 2, 6, 3, 7);
        }
        for (int i = 0; i < 4; i++)
            rows[i] = (Bytes16)next[i];
    }
}

SPECIAL Bytes16 loaded(const Byte *from, Size bytes)
{
    if (bytes >= 16)
        return *(Bytes16 *)from;
    Bytes16 values = {};
    for (Size i = 0; i < bytes; i++)
        values[i] = from[i];
    return values;
}

/* Turn 32 / depth rows of pixels of `depth` bytes into columns of 32 bytes, one per pixel. */
SPECIAL void to_columns(Byte *const *rows, int depth, Size bytes, Byte *columns)
{
    int across = 16 / depth;
    for (int half = 0; half < 2; half++)
        for (Size start = 0; start < bytes; start += 16) {
            Bytes16 tile[16];
            for (int i = 0; i < across; i++)
                tile[i] = loaded(rows[half * across + i] + start, bytes - start);
            depth == 1 ? transpose_bytes(tile) : transpose_pixels(tile);
            for (int i = 0; i < across; i++)
                *(Bytes16 *)(columns + (start / depth + i) * COLUMN + 16 * half) = tile[i];
        }
}

/* The reverse; rows are written in steps of 16 bytes. */
SPECIAL void to_rows(const Byte *columns, int depth, Size bytes, Byte *const *rows)
{
    int across = 16 / depth;
    for (int half = 0; half < 2; half++)
        for (Size start = 0; start < bytes; start += 16) {
            Bytes16 tile[16];
            for (int i = 0; i < across; i++)
                tile[i] = *(Bytes16 *)(columns + (start / depth + i) * COLUMN + 16 * half);
            depth == 1 ? transpose_bytes(tile) : transpose_pixels(tile);
            for (int i = 0; i < across; i++)
                *(Bytes16 *)(rows[half * across + i] + start) = tile[i];
        }
}

/* Resize the part `box` (left, top, right, bottom) of an image; rows follow each other closely.
 *
 * A pixel has `depth` bytes, 1 or 4, each resized on its own. Returns the bytes of scratch memory
 * that this takes, and without any it does nothing else.
 */
SPECIAL Size resized(
    Byte *source, const int *size, int depth, const float *box,
    Byte *target, const int *wanted, enum Filter filter, Byte *scratch)
{
    Size used = 0, in_row = (Size)size[0] * depth, out_row = (Size)wanted[0] * depth;
    int strip = COLUMN / depth, padded = (wanted[0] + 15) / 16 * 16;
    Axis across = planned(scratch, &used, filter, size[0], box[0], box[2], wanted[0]);
    Axis down = planned(scratch, &used, filter, size[1], box[1], box[3], wanted[1]);
    Byte *columns = take(scratch, &used, ((Size)size[0] + 15) * COLUMN);
    Byte *narrowed = take(scratch, &used, (Size)padded * COLUMN);
    /* Rows that are resized across and wait to be resized down, in a ring. */
    long kept = down.most + strip;
    Size kept_row = ((Size)padded * depth + COLUMN - 1) / COLUMN * COLUMN;
    Byte *ring = take(scratch, &used, kept * kept_row);
    Byte **at_column = take(scratch, &used, size[0] * sizeof(Byte *));
    Byte **summed = take(scratch, &used, (down.most + 2 * strip) * sizeof(Byte *));
    Byte **from = summed + down.most, **to = from + strip;
    if (!scratch)
        return used;
    for (int x = 0; x < size[0]; x++)
        at_column[x] = columns + (Size)x * COLUMN;
    int ready = down.first[0], last = size[1] - 1;
    for (int y = 0; y < wanted[1]; y++) {
        for (; ready < down.first[y] + down.count[y]; ready += strip) {
            for (int i = 0; i < strip; i++) {
                from[i] = source + (ready + i < last ? ready + i : last) * in_row;
                to[i] = ring + (ready + i) % kept * kept_row;
            }
            to_columns(from, depth, in_row, columns);
            for (int x = 0; x < wanted[0]; x++)
                weighted_sum(
                    at_column + across.first[x], across.weights + x * across.most,
                    across.count[x], narrowed + (Size)x * COLUMN, COLUMN);
            to_rows(narrowed, depth, out_row, to);
        }
        for (int i = 0; i < down.count[y]; i++)
            summed[i] = ring + (down.first[y] + i) % kept * kept_row;
        weighted_sum(
            summed, down.weights + y * down.most, down.count[y], target + y * out_row,
            out_row);
    }
    return used;
}

static Size resized_at_depth(
    Byte *source, const int *size, int depth, const float *box,
    Byte *target, const int *wanted, enum Filter filter, Byte *scratch)
{
    return depth == 1 ? resized(source, size, 1, box, target, wanted, filter, scratch)
                      : resized(source, size, 4, box, target, wanted, filter, scratch);
}

#ifdef __x86_64__
#pragma clang attribute pop

/* Intel's manual, volume 1, 14.3 and 14.7.1: the processor's bits, and that of the system's which
 * says that it keeps the registers of 256 bits. */
static int has_vectors(void)
{
    unsigned leaf = 1, part = 0, b, c, d;
    __asm__("cpuid" : "+a"(leaf), "=b"(b), "+c"(part), "=d"(d));
    if (!(part & 1 << 27)) /* OSXSAVE */
        return 0;
    __asm__("xgetbv" : "=a"(leaf), "=d"(d) : "c"(0));
    if ((leaf & 6) != 6)
        return 0;
    leaf = 7, part = 0;
    __asm__("cpuid" : "+a"(leaf), "=b"(b), "+c"(part), "=d"(c));
    return b >> 5 & 1;
}
#else
static int has_vectors(void)
{
    return 1;
}
#endif

/* See `resized`; 0 where the processor lacks the vector instructions. */
Size darkroom_resize(
    Byte *source, const int *size, int depth, const float *box,
    Byte *target, const int *wanted, enum Filter filter, Byte *scratch)
{
    return has_vectors()
        ? resized_at_depth(source, size, depth, box, target, wanted, filter, scratch) : 0;
}
