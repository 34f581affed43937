/* Undoes the filters of a PNG's rows (PNG, third edition, 9.2), a pixel at a time.
 *
 * A pixel depends on the one before it, so vectors hold the samples of one pixel. It calls
 * nothing, and all memory is the caller's.
 */

typedef unsigned char Byte;
typedef Byte Bytes4 __attribute__((vector_size(4), aligned(1)));
typedef short Samples __attribute__((vector_size(8)));
typedef short TwoPixels __attribute__((vector_size(16)));

/* Compiled once for each number of bytes in a pixel. */
#define SPECIAL static inline __attribute__((always_inline))

enum Filter { NONE, SUB, UP, AVERAGE, PAETH };

/* The one of left, above and corner that is nearest to left + above - corner, for each sample. */
#define NEAREST(type) \
    SPECIAL type nearest_##type(type left, type above, type corner) \
    { \
        type to_left = above - corner, to_above = left - corner, to_corner = to_left + to_above; \
        to_left = __builtin_elementwise_max(to_left, -to_left); \
        to_above = __builtin_elementwise_max(to_above, -to_above); \
        to_corner = __builtin_elementwise_max(to_corner, -to_corner); \
        type least = __builtin_elementwise_min(to_above, to_corner); \
        type not_left = to_left > least, not_above = to_above > to_corner; \
        type other = (not_above & corner) | (~not_above & above); \
        return (not_left & other) | (~not_left & left); \
    }
NEAREST(Samples)
NEAREST(TwoPixels)

SPECIAL Samples sample(const Byte *from, int count)
{
    if (count == 4)
        return __builtin_convertvector(*(const Bytes4 *)from, Samples);
    Samples values = {};
    for (int i = 0; i < count; i++)
        values[i] = from[i];
    return values;
}

/* Write a pixel of `step` bytes, of which `depth` are in the file. */
SPECIAL void put(Samples values, int depth, int step, Byte *pixel)
{
    if (step == 4) {
        Bytes4 bytes = __builtin_convertvector(values, Bytes4);
        if (depth == 3)
            bytes[3] = 0xFF; /* as Pillow fills up RGB */
        *(Bytes4 *)pixel = bytes;
    } else
        for (int i = 0; i < step; i++)
            pixel[i] = (Byte)values[i];
}

/* Add what a filter predicts to the pixels of a row, `depth` bytes in the file and `step` here. */
SPECIAL void add_predicted(
    enum Filter filter, const Byte *row, long width, int depth, int step, Byte *pixels,
    const Byte *above)
{
    Samples left = {}, corner = {};
    for (long x = 0; x < width; x++) {
        /* Beyond a pixel of three bytes is the next one's first, but for the last pixel. */
        Samples value = sample(row + x * depth, depth == 3 && x + 1 < width ? 4 : depth);
        if (filter == UP || filter == AVERAGE || filter == PAETH) {
            Samples up = sample(above + x * step, step);
            if (filter == UP)
                value += up;
            else if (filter == AVERAGE)
                value += (left + up) >> 1;
            else
                value += nearest_Samples(left, up, corner);
            corner = up;
        } else if (filter == SUB)
            value += left;
        left = value & 0xFF;
        put(left, depth, step, pixels + x * step);
    }
}

/* The same for two rows that Paeth's filter predicts, in little more time than one takes.
 *
 * The lower row follows a pixel behind, so that what it needs of the upper row is there.
 */
SPECIAL void add_nearest_to_two(
    const Byte *row, long width, int depth, int step, Byte *pixels, const Byte *above)
{
    const Byte *below = row + width * depth + 1;
    long pixels_below = width * step;
    Samples first = sample(above, step), upper = (sample(row, depth) + first) & 0xFF, none = {};
    put(upper, depth, step, pixels);
    TwoPixels left = __builtin_shufflevector(upper, none, 0, 1, 2, 3, 4, 5, 6, 7);
    TwoPixels corner = __builtin_shufflevector(first, none, 0, 1, 2, 3, 4, 5, 6, 7);
    Samples lower = none;
    for (long x = 1; x < width; x++) {
        TwoPixels up = __builtin_shufflevector(
            sample(above + x * step, step), upper, 0, 1, 2, 3, 4, 5, 6, 7);
        TwoPixels value = __builtin_shufflevector(
            sample(row + x * depth, depth == 3 ? 4 : depth),
            sample(below + (x - 1) * depth, depth == 3 ? 4 : depth), 0, 1, 2, 3, 4, 5, 6, 7);
        left = (value + nearest_TwoPixels(left, up, corner)) & 0xFF;
        corner = up;
        upper = __builtin_shufflevector(left, left, 0, 1, 2, 3);
        lower = __builtin_shufflevector(left, left, 4, 5, 6, 7);
        put(upper, depth, step, pixels + x * step);
        put(lower, depth, step, pixels + pixels_below + (x - 1) * step);
    }
    Samples before = width > 1 ? sample(pixels + (width - 2) * step, step) : none;
    Samples last = sample(below + (width - 1) * depth, depth);
    lower = (last + nearest_Samples(lower, upper, before)) & 0xFF;
    put(lower, depth, step, pixels + pixels_below + (width - 1) * step);
}

SPECIAL int unfiltered(
    const Byte *filtered, long width, long rows, int depth, int step, Byte *pixels,
    const Byte *above)
{
    for (long y = 0; y < rows; y++) {
        long row_bytes = 1 + width * depth;
        const Byte *row = filtered + y * row_bytes + 1;
        if (y + 1 < rows && row[-1] == PAETH && row[row_bytes - 1] == PAETH) {
            add_nearest_to_two(row, width, depth, step, pixels, above);
            above = pixels + width * step;
            pixels += 2 * width * step;
            y++;
            continue;
        }
        switch ((enum Filter)row[-1]) {
        case NONE: add_predicted(NONE, row, width, depth, step, pixels, above); break;
        case SUB: add_predicted(SUB, row, width, depth, step, pixels, above); break;
        case UP: add_predicted(UP, row, width, depth, step, pixels, above); break;
        case AVERAGE: add_predicted(AVERAGE, row, width, depth, step, pixels, above); break;
        case PAETH: add_predicted(PAETH, row, width, depth, step, pixels, above); break;
        default: return 0;
        }
        above = pixels;
        pixels += width * step;
    }
    return 1;
}

/* Undo the filters of rows, each with its type in front; return 0 where a type is unknown.
 *
 * A pixel has `depth` bytes, 1, 3 or 4; three become four, the last of them 255. `above` is the
 * row before, as it was written to `pixels`: zeros for the first.
 */
int darkroom_unfilter(
    const Byte *filtered, long width, long rows, int depth, Byte *pixels, const Byte *above)
{
    switch (depth) {
    case 1: return unfiltered(filtered, width, rows, 1, 1, pixels, above);
    case 3: return unfiltered(filtered, width, rows, 3, 4, pixels, above);
    default: return unfiltered(filtered, width, rows, 4, 4, pixels, above);
    }
}
