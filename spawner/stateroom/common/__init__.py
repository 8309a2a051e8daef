"""What every other part needs: errors, amounts, text, deadlines, files."""
