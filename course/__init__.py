"""The course: student and instructor books, graded sheets and slides, from one source a chapter."""
