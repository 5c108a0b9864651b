-- Every function there is.
SELECT DISTINCT name FROM pragma_function_list
