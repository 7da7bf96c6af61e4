"""Mend what the theme gets wrong for screen readers and keyboards.

No option of the theme reaches these faults (labels that hide the visible text, list roles without
list items, empty header cells), so the finished HTML is edited.
"""


def mend(soup):
    """Edit one parsed page in place."""
    # An aria-label that differs from the visible text hides that text from voice control.
    for node in soup.select("button.search-button-field, .theme-switch-button, summary"):
        del node["aria-label"]
    for node in soup.select(".theme-switch-button"):
        node["title"] = "Colour mode"
        label = soup.new_tag("span", attrs={"class": "visually-hidden"})
        label.string = "Colour mode"
        node.append(label)
    # docutils gives bibliographies list roles that ARIA has deprecated and that lack list items.
    for node in soup.select(".citation-list[role], .citation[role], .citation [role]"):
        del node["role"]
    # sphinx-exercise and sphinx-proof give the same id to every box on a page.
    for node in soup.select("#exercise-content, #solution-content, #proof-content"):
        del node["id"]
    # The empty corner cell of a data frame is no header.
    for node in soup.select("th"):
        if not node.get_text(strip=True) and not node.find("img"):
            node.name = "td"
    # Markdown cannot write a table without a head; a head without words is none.
    # Its rows are then named by their first cells.
    for head in soup.select("thead"):
        if not head.get_text(strip=True):
            for cell in head.parent.select("tbody > tr > td:first-child"):
                cell.name = "th"
            head.decompose()
    for table in soup.select("table.indextable"):  # columns of words, not a table
        table["role"] = "presentation"
    for cell in soup.select("thead th"):
        cell["scope"] = "col"
    for cell in soup.select("tbody th"):
        cell["scope"] = "row"
    # A second heading and table of contents, for printing only; our own print rules need neither.
    for node in soup.select("#jb-print-docs-body"):
        node.decompose()
    for node in soup.select(".sidebar-primary-items__start > .sidebar-primary-item:first-child"):
        node["role"] = "region"
        node["aria-label"] = "Book title"
