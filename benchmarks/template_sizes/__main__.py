"""`python -m benchmarks.template_sizes`: write the table of sizes into docs/template-size.md."""

from benchmarks.template_sizes.sizes import BEGIN, END, PAGE, table

text = PAGE.read_text(encoding="utf-8")
head, _, rest = text.partition(BEGIN)
PAGE.write_text(head + BEGIN + table() + END + rest.partition(END)[2], encoding="utf-8")
print(table(), end="")
